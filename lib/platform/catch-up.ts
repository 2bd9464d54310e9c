import type { Report } from "../run/report.ts";
import type { Config } from "./config.ts";
import { leaveOneTimeSchedule } from "./one-time-schedule.ts";

/** `paused`: the schedule is disabled. `there`: a catch-up run for the same minute already exists. */
export type CaughtUp = "not_needed" | "paused" | "made" | "there";

/** Schedules another run before the next tick if the report shows a backlog. Throws SDK errors. */
export type CatchUp = (report: Report, functionArn: string, now: Date) => Promise<CaughtUp>;

/** Excludes manual runs, which may be limited, and failed runs, which would only fail again every minute. */
export function leavesBacklog({ success, dryRun, trigger, results }: Report): boolean {
  return success && !dryRun && trigger !== "manual" && results !== null && results.backlog > 0;
}

const LIMITS = { maxAttempts: 3, requestHandler: { connectionTimeout: 2_000, requestTimeout: 4_000 } };

/** Undefined if not configured: with frequent ticks, the stack omits catch-up because a backlog can wait. */
export function catchUpOf(config: Config): CatchUp | undefined {
  const { CATCH_UP_GROUP: group, CATCH_UP_SCHEDULE: schedule, CATCH_UP_ROLE_ARN: RoleArn } = config;
  if (group === undefined || schedule === undefined || RoleArn === undefined) return undefined;
  const deadLetters = config.CATCH_UP_DEAD_LETTERS_ARN;
  return async (report, functionArn, now) => {
    if (!leavesBacklog(report)) return "not_needed";
    const { GetScheduleCommand, SchedulerClient } = await import("@aws-sdk/client-scheduler");
    const client = new SchedulerClient(LIMITS);
    const { State } = await client.send(new GetScheduleCommand({ GroupName: group, Name: schedule }));
    if (State === "DISABLED") return "paused";
    const target = {
      Arn: functionArn,
      RoleArn,
      RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
      ...(deadLetters !== undefined && { DeadLetterConfig: { Arn: deadLetters } }),
    };
    const { made } = await leaveOneTimeSchedule(client, { group, target, now });
    return made ? "made" : "there";
  };
}
