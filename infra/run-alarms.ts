import { Duration } from "aws-cdk-lib";
import { MathExpression } from "aws-cdk-lib/aws-cloudwatch";
import {
  type AlarmDefinition,
  type AlarmsProps,
  FIVE_MINUTES,
  metricSum,
  nearTimeOut,
  ofRunsAndDeliveries,
} from "./alarm.ts";
import { mostPeriodsOf, runPeriodOf } from "./alarm-options.ts";
import type { Configuration } from "./configuration.ts";
import { metricOf, pinnedConnections } from "./dashboard.ts";
import { RUN_TIME_LIMIT } from "./follow-ups.ts";
import { longestInterval, shortestInterval } from "./schedule.ts";

const HOUR = Duration.hours(1);
const DAY = Duration.days(1);
/** Allows for a late tick and for the duration of a run. */
const SLACK = Duration.seconds(30);

/** Alarms on the schedule and on the promise: runs happen, succeed, and stop the sequences of booked leads. */
export function promiseAlarms(props: AlarmsProps): readonly AlarmDefinition[] {
  const { configuration, names } = props;
  const { completionsPerHour } = configuration.alarms;
  const metric = metricOf.bind(undefined, names.followUpsFunction);
  return [
    ...noTicks(props),
    noSuccessfulRun(props),
    {
      name: "booking-to-stop-too-slow",
      severity: "page",
      description:
        "A sequence of a booked lead stayed active longer than the longest time between two ticks: the promise was broken.",
      metric: metric("BookingToStop", runPeriodOf(configuration.schedule.expression)),
      above: longestInterval(configuration.schedule.expression).toSeconds() + SLACK.toSeconds(),
    },
    {
      name: "backstop-completes-much",
      severity: "ticket",
      description: `The backstop completed more than ${completionsPerHour} sequences within an hour: a booking path does not stop sequences.`,
      metric: metric("BackstopCompletions", HOUR),
      above: completionsPerHour,
    },
  ];
}

/** A tick may be late, and the hour of a clock change counts as one more period. */
const LATE = Duration.minutes(15);

/**
 * No tick at all, because the schedule was deleted, or its pause forgotten. CloudWatch cannot watch a schedule that
 * rests for a week or more, so that such a stage has no such alarm.
 */
function noTicks({ configuration, schedule }: AlarmsProps): readonly AlarmDefinition[] {
  const { paused, alarms } = configuration;
  const longest = longestInterval(configuration.schedule.expression).toMinutes() + LATE.toMinutes();
  const minutes = Math.max(paused ? DAY.toMinutes() : alarms.noTicksMinutes, longest);
  const period = minutes <= DAY.toMinutes() ? FIVE_MINUTES : HOUR;
  const periods = Math.ceil(minutes / period.toMinutes()) + (period === HOUR ? 1 : 0);
  if (periods > mostPeriodsOf(period)) return [];
  return [
    {
      name: "no-ticks",
      severity: paused ? "ticket" : "page",
      description: `The schedule has not ticked for ${minutes} minutes: it was deleted, or its pause was forgotten.`,
      metric: new MathExpression({
        expression: "IF(FILL(ticks, 0) > 0, 0, 1)",
        label: "periods without a tick",
        usingMetrics: { ticks: schedule.group.metricAttempts({ statistic: "Sum", period }) },
        period,
      }),
      above: 0,
      periods,
      missingFires: true,
    },
  ];
}

function noSuccessfulRun({ configuration, names, schedule }: AlarmsProps): AlarmDefinition {
  const period = runPeriodOf(configuration.schedule.expression);
  const { failing, of } = configuration.alarms.noSuccessfulRun ?? defaultOfNoSuccess(period);
  return {
    name: "no-successful-run",
    severity: "page",
    description: `The schedule ticks, but ${failing} of ${of} intervals had no successful run. Nothing is sent, and sequences of booked leads are not completed.`,
    metric: new MathExpression({
      // Not FILL(ticks, 0): metrics arrive minutes late, and the latest periods would always count as quiet.
      expression: "SUM([ticks, -1 * FILL(successes, 0)])",
      label: "ticks without a successful run",
      usingMetrics: {
        ticks: schedule.group.metricAttempts({ statistic: "Sum", period }),
        successes: metricOf(names.followUpsFunction, "SuccessfulRuns", period),
      },
      period,
    }),
    above: 0,
    periods: of,
    failing,
  };
}

/** Longer than a failover of the database or the proxy. A daily schedule may have no ticks on two consecutive days. */
function defaultOfNoSuccess(period: Duration): { readonly failing: number; readonly of: number } {
  if (period.toMinutes() >= DAY.toMinutes()) return { failing: 1, of: 1 };
  const failing = Math.max(2, Math.ceil(FIVE_MINUTES.toMinutes() / period.toMinutes()));
  return { failing, of: failing + 1 };
}

/** Alarms on single runs, on the work that waits, and on the parts that runs use. */
export function workAlarms(props: AlarmsProps): readonly AlarmDefinition[] {
  const { configuration, names, followUps, schedule, delivery, foundation } = props;
  return [
    {
      name: "run-failed",
      severity: "ticket",
      description: "A scheduled run failed, did not finish, or found no free worker within a minute.",
      metric: metricSum("failed runs", {
        errors: followUps.function.metricErrors({ period: FIVE_MINUTES }),
        dropped: followUps.function.metric("AsyncEventsDropped", { statistic: "Sum", period: FIVE_MINUTES }),
      }),
      above: 0,
    },
    {
      name: "unknown-touches",
      severity: "ticket",
      description: "A touch may or may not have been sent. Backstop does not send it again.",
      metric: ofRunsAndDeliveries(names, delivery, "UnknownTouches", "touches of unknown outcome"),
      above: 0,
    },
    {
      name: "lost-digests",
      severity: "ticket",
      description: "A digest failed permanently, or may not have been sent: a workspace may miss its events.",
      metric: metricOf(names.followUpsFunction, "LostDigests", FIVE_MINUTES),
      above: 0,
    },
    oldestDue(configuration, names.followUpsFunction),
    nearTimeOut("near-time-out", "A run", followUps.function, RUN_TIME_LIMIT),
    {
      name: "undelivered-ticks",
      severity: "ticket",
      description: "EventBridge Scheduler could not invoke the function.",
      metric: metricSum("undelivered ticks", {
        dropped: schedule.group.metricDropped({ statistic: "Sum", period: FIVE_MINUTES }),
        kept: schedule.group.metricSentToDLQ({ statistic: "Sum", period: FIVE_MINUTES }),
      }),
      above: 0,
    },
    {
      name: "proxy-pinning",
      severity: "ticket",
      description: "Connections stay pinned, so the proxy cannot share them.",
      metric: pinnedConnections(foundation.proxyName, FIVE_MINUTES),
      above: 0,
      periods: 3,
    },
  ];
}

function oldestDue({ schedule, alarms }: Configuration, functionName: string): AlarmDefinition {
  const interval = shortestInterval(schedule.expression).toMinutes();
  const period = Math.min(Math.max(interval, FIVE_MINUTES.toMinutes()), DAY.toMinutes());
  // A step that becomes due just after a tick is one interval old at the next tick.
  const minutes = Math.max(alarms.oldestDueMinutes, 2 * interval);
  return {
    name: "oldest-due-too-old",
    severity: "ticket",
    description: `Steps have been due for more than ${minutes} minutes in several runs: sending does not keep up.`,
    metric: metricOf(functionName, "OldestDue", Duration.minutes(period)),
    above: minutes * 60,
    periods: 3,
  };
}
