import { Duration } from "aws-cdk-lib";
import { type IMetric, MathExpression } from "aws-cdk-lib/aws-cloudwatch";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import type { MetricName } from "../lib/platform/metrics.ts";
import type { StageNames } from "../lib/platform/names.ts";
import { metricOf } from "./dashboard.ts";
import type { FollowUpsFunction } from "./follow-ups.ts";
import type { Delivery, Intake } from "./queue-workers.ts";
import type { Reconcile } from "./reconcile.ts";
import type { TickSchedule } from "./tick-schedule.ts";
import type { Webhooks } from "./webhooks.ts";
import type { StageProps } from "./worker-function.ts";

/** `page` wakes a person; `ticket` waits for office hours. */
type Severity = "page" | "ticket";

export interface AlarmsProps extends StageProps {
  readonly followUps: FollowUpsFunction;
  readonly schedule: TickSchedule;
  readonly delivery: Delivery | undefined;
  readonly intake: Intake | undefined;
  readonly webhooks: Webhooks | undefined;
  readonly reconcile: Reconcile | undefined;
}

export interface AlarmDefinition {
  /** Suffix of the alarm's name, and anchor of its section in docs/runbook.md. */
  readonly name: string;
  readonly severity: Severity;
  readonly description: string;
  readonly metric: IMetric;
  /** The alarm fires above this value. */
  readonly above: number;
  /** Number of latest periods that the alarm evaluates; defaults to 1. */
  readonly periods?: number;
  /** How many of these periods must be above the threshold; defaults to all. */
  readonly failing?: number;
  /** If true, missing data counts as above the threshold. */
  readonly missingFires?: boolean;
  /** If true, the alarm notifies no topic in a stage that is configured as paused. */
  readonly quietWhilePaused?: boolean;
}

export const FIVE_MINUTES = Duration.minutes(5);

/**
 * The sum of the metrics. A metric without data counts as 0: SUM skips series that are missing, where `+` would return
 * nothing. FILL may leave a metric empty that has never had data, such as a count of rare faults.
 */
export function metricSum(
  label: string,
  usingMetrics: Readonly<Record<string, IMetric>>,
  period: Duration = FIVE_MINUTES,
): IMetric {
  const filled = Object.keys(usingMetrics).map((name) => `FILL(${name}, 0)`);
  return new MathExpression({ expression: `SUM([${filled.join(", ")}])`, label, usingMetrics, period });
}

/** Sum over runs and the deliver function. */
export function ofRunsAndDeliveries(
  names: StageNames,
  delivery: Delivery | undefined,
  metricName: MetricName,
  label: string,
): IMetric {
  const runs = metricOf(names.followUpsFunction, metricName, FIVE_MINUTES);
  if (!delivery) return runs;
  return metricSum(label, { runs, deliveries: metricOf(names.deliverFunction, metricName, FIVE_MINUTES) });
}

/** Fires until the queue is empty: each message needs a person. */
export const notEmpty = (name: string, description: string, queue: IQueue): AlarmDefinition => ({
  name,
  severity: "ticket",
  description,
  metric: queue.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
  above: 0,
});

export const tenMinutesOld = (name: string, description: string, queue: IQueue): AlarmDefinition => ({
  name,
  severity: "page",
  description,
  metric: queue.metricApproximateAgeOfOldestMessage({ period: FIVE_MINUTES }),
  above: Duration.minutes(10).toSeconds(),
});

export const nearTimeOut = (name: string, what: string, watched: IFunction, limit: Duration): AlarmDefinition => ({
  name,
  severity: "ticket",
  description: `${what} took more than 90 % of its time limit.`,
  metric: watched.metricDuration({ statistic: "Maximum", period: FIVE_MINUTES }),
  above: limit.toMilliseconds() * 0.9,
});
