import { Duration } from "aws-cdk-lib";
import * as z from "zod";
import { arnOf } from "./channels.ts";
import { shortestInterval } from "./schedule.ts";

const DAY = Duration.days(1);
const topic = arnOf("sns", "", "the ARN of one SNS topic");

/** The options of a stage for its alarms. */
export const alarmOptions = z.strictObject({
  /** Notified when an alarm of this severity fires and when it ends. */
  topics: z.strictObject({ page: topic, ticket: topic }).optional(),
  completionsPerHour: z.int().min(1).default(20),
  oldestDueMinutes: z.int().min(1).default(30),
  noTicksMinutes: z.int().min(15).max(DAY.toMinutes()).default(60),
  noSuccessfulRun: z
    .strictObject({ failing: z.int().min(1), of: z.int().min(1) })
    .refine(({ failing, of }) => failing <= of, { error: "failing must be at most of" })
    .optional(),
});

/** The period of an alarm on runs: the interval of the schedule, at most a day. */
export function runPeriodOf(expression: string): Duration {
  const interval = shortestInterval(expression);
  return interval.toMinutes() >= DAY.toMinutes() ? DAY : interval;
}

/**
 * How many periods CloudWatch evaluates: seven days of them, or one day of periods under an hour.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
 */
export function mostPeriodsOf(period: Duration): number {
  const days = period.toMinutes() < 60 ? 1 : 7;
  return Math.floor((days * DAY.toMinutes()) / period.toMinutes());
}
