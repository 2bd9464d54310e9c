import { Duration } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, type IMetric, MathExpression, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Topic } from "aws-cdk-lib/aws-sns";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { MetricName } from "../lib/platform/metrics.ts";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { DELIVERY_TIME_LIMIT, type Delivery } from "./delivery.ts";
import { type FollowUpsFunction, RUN_TIME_LIMIT } from "./follow-ups-function.ts";
import type { FollowUpsSchedule } from "./follow-ups-schedule.ts";
import { INTAKE_TIME_LIMIT, type Intake } from "./intake.ts";
import { measureOf, pinnedConnections } from "./measures.ts";
import { longestInterval, shortestInterval } from "./schedule-interval.ts";

export interface AlarmsProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly followUps: FollowUpsFunction;
  readonly schedule: FollowUpsSchedule;
  readonly delivery: Delivery | undefined;
  readonly intake: Intake | undefined;
  readonly proxyName: string;
}

interface Definition {
  /** Suffix of the alarm's name, and anchor of its section in docs/runbook.md. */
  readonly name: string;
  readonly says: string;
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
    this.all = definitions.map(({ name, says, metric, above, periods = 1 }) => {
      return new Alarm(this, name, {
        alarmName: `${names.alarmPrefix}${name}`,
        alarmDescription: `${says} What to do: docs/runbook.md#${name}`,
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
  const measure = measureOf.bind(undefined, names.followUpsFunction);
  return [
    {
      name: "no-successful-run",
      says: "The schedule ticks, and no run was a success for two intervals, or a day: nothing is sent, and nobody stops what chases a booked lead.",
      metric: new MathExpression({
        expression: "IF(FILL(ticks, 0) > 0 AND FILL(successes, 0) < 1, 1, 0)",
        label: "ticks without a successful run",
        usingMetrics: {
          ticks: schedule.group.metricAttempts({ statistic: "Sum", period }),
          successes: measure("SuccessfulRuns", period),
        },
        period,
      }),
      above: 0,
      // A schedule that ticks less than once a day never has ticks on two consecutive days.
      periods: daily ? 1 : 2,
    },
    {
      name: "booking-to-stop-too-slow",
      says: "A sequence chased a booked lead for longer than the schedule ever pauses between two ticks: the promise was not kept.",
      metric: measure("BookingToStop", period),
      above: longestInterval(configuration.schedule.expression).toSeconds() + SLACK.toSeconds(),
    },
    {
      name: "backstop-completes-much",
      says: `The backstop ended more than ${completionsPerHour} sequences within an hour: somebody books by a path that does not stop them.`,
      metric: measure("BackstopCompletions", Duration.hours(1)),
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
  proxyName,
}: AlarmsProps): readonly Definition[] {
  const interval = shortestInterval(configuration.schedule.expression);
  const unhurried = Duration.minutes(
    Math.min(Math.max(interval.toMinutes(), FIVE_MINUTES.toMinutes()), DAY.toMinutes()),
  );
  // A step that becomes due just after a tick is one interval old at the next tick.
  const oldestDueMinutes = Math.max(configuration.alarms.oldestDueMinutes, 2 * interval.toMinutes());
  const measure = measureOf.bind(undefined, names.followUpsFunction);
  return [
    {
      name: "run-failed",
      says: "A run that nobody watches was not a success, or did not come to its end.",
      metric: new MathExpression({
        expression: "FILL(failed, 0) + FILL(errors, 0)",
        label: "failed runs",
        usingMetrics: {
          failed: measure("FailedRuns", FIVE_MINUTES),
          errors: followUps.function.metricErrors({ period: FIVE_MINUTES }),
        },
        period: FIVE_MINUTES,
      }),
      above: 0,
    },
    {
      name: "unknown-touches",
      says: "Nobody knows whether a touch went out, and it is not sent again by itself.",
      metric: ofRunsAndDeliveries(names, delivery, "UnknownTouches", "touches of unknown outcome"),
      above: 0,
    },
    {
      name: "lost-digests",
      says: "A digest was given up, or nobody knows whether it went out: a workspace was not told what happened.",
      metric: measure("LostDigests", FIVE_MINUTES),
      above: 0,
    },
    {
      name: "oldest-due-too-old",
      says: `Runs keep finding steps that have been due for more than ${oldestDueMinutes} minutes: sending does not keep up.`,
      metric: measure("OldestDue", unhurried),
      above: oldestDueMinutes * 60,
      periods: 3,
    },
    nearTimeOut("near-time-out", "A run", followUps.function, RUN_TIME_LIMIT),
    waiting("undelivered-ticks", "Scheduler could not hand a tick to the function.", schedule.undeliveredTicks),
    waiting("failed-runs", "The function took an invocation and did not finish it.", followUps.failedRuns),
    {
      name: "proxy-pinning",
      says: "Connections stay pinned in the proxy, which then cannot share them.",
      metric: pinnedConnections(proxyName, FIVE_MINUTES),
      above: 0,
      periods: 3,
    },
  ];
}

function channelAlarms({ names, delivery }: AlarmsProps): readonly Definition[] {
  const down = (name: string, channel: string, metric: MetricName): Definition => ({
    name,
    says: `The channel ${channel} takes nothing: its touches wait, and use up no attempt.`,
    metric: ofRunsAndDeliveries(names, delivery, metric, `${channel} down`),
    above: 0,
  });
  return [
    down("email-down", "email", "EmailDown"),
    down("sms-down", "sms", "SmsDown"),
    down("webhook-down", "webhook", "WebhookDown"),
    {
      name: "refused-workspaces",
      says: "A provider takes nothing of a workspace, while it takes messages of others: its sender or account is at fault.",
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
  const runs = measureOf(names.followUpsFunction, metricName, FIVE_MINUTES);
  if (!delivery) return runs;
  const deliveries = measureOf(names.deliverFunction, metricName, FIVE_MINUTES);
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
      "Touches wait in the queue for more than ten minutes: delivery does not keep up or does not run.",
      delivery.queue,
    ),
    waiting("failed-deliveries", "The deliver function gave a message back time after time.", delivery.failed),
    nearTimeOut("deliver-near-time-out", "A delivery", delivery.function, DELIVERY_TIME_LIMIT),
  ];
}

function intakeAlarms({ intake }: AlarmsProps): readonly Definition[] {
  if (!intake) return [];
  return [
    tenMinutesOld(
      "events-wait",
      "Events wait for more than ten minutes: bookings and opt-outs among them are not known yet.",
      intake.queue,
    ),
    waiting("refused-events", "An event was refused, or could not be applied for four days.", intake.refused),
    nearTimeOut("intake-near-time-out", "A batch of events", intake.function, INTAKE_TIME_LIMIT),
  ];
}

const tenMinutesOld = (name: string, says: string, queue: IQueue): Definition => ({
  name,
  says,
  metric: queue.metricApproximateAgeOfOldestMessage({ period: FIVE_MINUTES }),
  above: Duration.minutes(10).toSeconds(),
});

const waiting = (name: string, says: string, queue: IQueue): Definition => ({
  name,
  says,
  metric: queue.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
  above: 0,
});

const nearTimeOut = (name: string, what: string, measured: IFunction, limit: Duration): Definition => ({
  name,
  says: `${what} took more than nine tenths of the time after which it is cut off.`,
  metric: measured.metricDuration({ statistic: "Maximum", period: FIVE_MINUTES }),
  above: limit.toMilliseconds() * 0.9,
});
