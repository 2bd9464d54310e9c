import { Duration } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, type IMetric, MathExpression, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Topic } from "aws-cdk-lib/aws-sns";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { DOWN_METRICS, type MetricName } from "../lib/platform/metrics.ts";
import type { StageNames } from "../lib/platform/names.ts";
import { metricOf, pinnedConnections } from "./dashboard.ts";
import { type FollowUpsFunction, type FollowUpsSchedule, RUN_TIME_LIMIT } from "./follow-ups.ts";
import { DELIVERY_TIME_LIMIT, type Delivery, INTAKE_TIME_LIMIT, type Intake } from "./queue-workers.ts";
import { longestInterval, shortestInterval } from "./schedule.ts";
import type { StageProps } from "./worker-function.ts";

interface AlarmsProps extends StageProps {
  readonly followUps: FollowUpsFunction;
  readonly schedule: FollowUpsSchedule;
  readonly delivery: Delivery | undefined;
  readonly intake: Intake | undefined;
}

interface Definition {
  /** Suffix of the alarm's name, and anchor of its section in docs/runbook.md. */
  readonly name: string;
  readonly description: string;
  readonly metric: IMetric;
  /** The alarm fires above this value. */
  readonly above: number;
  /** Consecutive periods above the threshold; defaults to 1. */
  readonly periods?: number;
}

const DAY = Duration.days(1);
const FIVE_MINUTES = Duration.minutes(5);
/** Allows for a late tick and for the duration of a run. */
const SLACK = Duration.seconds(30);

/** The stage's alarms. Missing data never fires one, so that a paused stage is quiet. */
export class Alarms extends Construct {
  readonly all: readonly Alarm[];

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const { names, configuration } = props;
    const definitions = [
      ...promiseAlarms(props),
      ...workAlarms(props),
      ...channelAlarms(props),
      ...deliveryAlarms(props),
      ...intakeAlarms(props),
    ];
    this.all = definitions.map(({ name, description, metric, above, periods = 1 }) => {
      return new Alarm(this, name, {
        alarmName: `${names.alarmPrefix}${name}`,
        alarmDescription: `${description} What to do: docs/runbook.md#${name}`,
        metric,
        threshold: above,
        comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluationPeriods: periods,
        treatMissingData: TreatMissingData.NOT_BREACHING,
        actionsEnabled: !configuration.paused,
      });
    });
    const { topicArn } = configuration.alarms;
    if (topicArn === undefined) return;
    const action = new SnsAction(Topic.fromTopicArn(this, "Topic", topicArn));
    for (const alarm of this.all) alarm.addAlarmAction(action);
  }
}

function promiseAlarms({ configuration, names, schedule }: AlarmsProps): readonly Definition[] {
  const interval = shortestInterval(configuration.schedule.expression);
  const daily = interval.toMinutes() >= DAY.toMinutes();
  const period = daily ? DAY : interval;
  const { completionsPerHour } = configuration.alarms;
  const metric = metricOf.bind(undefined, names.followUpsFunction);
  return [
    {
      name: "no-successful-run",
      description:
        "The schedule ticks, but no run succeeded for two intervals, or a day. Nothing is sent, and sequences of booked leads are not completed.",
      metric: new MathExpression({
        expression: "IF(FILL(ticks, 0) > 0 AND FILL(successes, 0) < 1, 1, 0)",
        label: "ticks without a successful run",
        usingMetrics: {
          ticks: schedule.group.metricAttempts({ statistic: "Sum", period }),
          successes: metric("SuccessfulRuns", period),
        },
        period,
      }),
      above: 0,
      // A schedule that ticks less than once a day never has ticks on two consecutive days.
      periods: daily ? 1 : 2,
    },
    {
      name: "booking-to-stop-too-slow",
      description:
        "A sequence of a booked lead stayed active longer than the longest time between two ticks: the promise was broken.",
      metric: metric("BookingToStop", period),
      above: longestInterval(configuration.schedule.expression).toSeconds() + SLACK.toSeconds(),
    },
    {
      name: "backstop-completes-much",
      description: `The backstop completed more than ${completionsPerHour} sequences within an hour: a booking path does not stop sequences.`,
      metric: metric("BackstopCompletions", Duration.hours(1)),
      above: completionsPerHour,
    },
  ];
}

function workAlarms({
  configuration,
  names,
  followUps,
  schedule,
  delivery,
  foundation,
}: AlarmsProps): readonly Definition[] {
  const interval = shortestInterval(configuration.schedule.expression);
  const unhurried = Duration.minutes(
    Math.min(Math.max(interval.toMinutes(), FIVE_MINUTES.toMinutes()), DAY.toMinutes()),
  );
  // A step that becomes due just after a tick is one interval old at the next tick.
  const oldestDueMinutes = Math.max(configuration.alarms.oldestDueMinutes, 2 * interval.toMinutes());
  const metric = metricOf.bind(undefined, names.followUpsFunction);
  return [
    {
      name: "run-failed",
      description: "A scheduled run failed, or did not finish.",
      metric: new MathExpression({
        expression: "FILL(failed, 0) + FILL(errors, 0)",
        label: "failed runs",
        usingMetrics: {
          failed: metric("FailedRuns", FIVE_MINUTES),
          errors: followUps.function.metricErrors({ period: FIVE_MINUTES }),
        },
        period: FIVE_MINUTES,
      }),
      above: 0,
    },
    {
      name: "unknown-touches",
      description: "A touch may or may not have been sent. Backstop does not send it again.",
      metric: ofRunsAndDeliveries(names, delivery, "UnknownTouches", "touches of unknown outcome"),
      above: 0,
    },
    {
      name: "lost-digests",
      description: "A digest failed permanently, or may not have been sent: a workspace may miss its events.",
      metric: metric("LostDigests", FIVE_MINUTES),
      above: 0,
    },
    {
      name: "oldest-due-too-old",
      description: `Steps have been due for more than ${oldestDueMinutes} minutes in several runs: sending does not keep up.`,
      metric: metric("OldestDue", unhurried),
      above: oldestDueMinutes * 60,
      periods: 3,
    },
    nearTimeOut("near-time-out", "A run", followUps.function, RUN_TIME_LIMIT),
    waiting("undelivered-ticks", "EventBridge Scheduler could not invoke the function.", schedule.undeliveredTicks),
    waiting("failed-runs", "The function accepted an invocation and did not complete it.", followUps.failedRuns),
    {
      name: "proxy-pinning",
      description: "Connections stay pinned, so the proxy cannot share them.",
      metric: pinnedConnections(foundation.proxyName, FIVE_MINUTES),
      above: 0,
      periods: 3,
    },
  ];
}

function channelAlarms({ names, delivery }: AlarmsProps): readonly Definition[] {
  const down = (name: string, channel: string, metric: MetricName): Definition => ({
    name,
    description: `The channel ${channel} accepts nothing. Its touches wait and use up no attempt.`,
    metric: ofRunsAndDeliveries(names, delivery, metric, `${channel} down`),
    above: 0,
  });
  return [
    ...DOWN_METRICS.map(({ channel, metric }) => down(`${channel}-down`, channel, metric)),
    {
      name: "refused-workspaces",
      description:
        "A provider accepts nothing from one workspace but messages from others: check the sender or account of the workspace.",
      metric: ofRunsAndDeliveries(names, delivery, "RefusedWorkspaces", "refused workspaces"),
      above: 0,
    },
  ];
}

/** Sum over runs and the deliver function. */
function ofRunsAndDeliveries(
  names: StageNames,
  delivery: Delivery | undefined,
  metricName: MetricName,
  label: string,
): IMetric {
  const runs = metricOf(names.followUpsFunction, metricName, FIVE_MINUTES);
  if (!delivery) return runs;
  const deliveries = metricOf(names.deliverFunction, metricName, FIVE_MINUTES);
  return new MathExpression({
    expression: "FILL(runs, 0) + FILL(deliveries, 0)",
    label,
    usingMetrics: { runs, deliveries },
    period: FIVE_MINUTES,
  });
}

function deliveryAlarms({ delivery }: AlarmsProps): readonly Definition[] {
  if (!delivery) return [];
  return [
    tenMinutesOld(
      "deliveries-wait",
      "Touches have waited in the queue for more than ten minutes: the deliver function does not run, or does not keep up.",
      delivery.queue,
    ),
    waiting("failed-deliveries", "The deliver function returned the same message five times.", delivery.failed),
    nearTimeOut("deliver-near-time-out", "A delivery", delivery.function, DELIVERY_TIME_LIMIT),
  ];
}

function intakeAlarms({ intake }: AlarmsProps): readonly Definition[] {
  if (!intake) return [];
  return [
    tenMinutesOld(
      "events-wait",
      "Events have not been applied for more than ten minutes. Bookings and opt-outs among them are not known yet.",
      intake.queue,
    ),
    waiting("refused-events", "An event was refused, or could not be applied for four days.", intake.refused),
    nearTimeOut("intake-near-time-out", "A batch of events", intake.function, INTAKE_TIME_LIMIT),
  ];
}

const tenMinutesOld = (name: string, description: string, queue: IQueue): Definition => ({
  name,
  description,
  metric: queue.metricApproximateAgeOfOldestMessage({ period: FIVE_MINUTES }),
  above: Duration.minutes(10).toSeconds(),
});

const waiting = (name: string, description: string, queue: IQueue): Definition => ({
  name,
  description,
  metric: queue.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
  above: 0,
});

const nearTimeOut = (name: string, what: string, watched: IFunction, limit: Duration): Definition => ({
  name,
  description: `${what} took more than 90 % of its time limit.`,
  metric: watched.metricDuration({ statistic: "Maximum", period: FIVE_MINUTES }),
  above: limit.toMilliseconds() * 0.9,
});
