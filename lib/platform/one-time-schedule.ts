import type { SchedulerClient, Target } from "@aws-sdk/client-scheduler";
import { CATCH_UP_PREFIX } from "./names.ts";

const MINUTE_MS = 60_000;
/** Margin for the request to reach Scheduler before the requested minute. */
const ARRIVAL_MS = 5_000;

/** The input of a catch-up run. It throws on failure, like a scheduled run. */
export const CATCH_UP_INPUT = JSON.stringify({ trigger: "catch_up", scheduledTime: "<aws.scheduler.scheduled-time>" });

/** The next full minute that is still possible. Scheduler has a resolution of one minute. */
export const nextMinute = (now: Date): Date =>
  new Date(Math.ceil((now.getTime() + ARRIVAL_MS) / MINUTE_MS) * MINUTE_MS);

/**
 * Creates a schedule that invokes the target once, at the next full minute, and then deletes itself. The name contains
 * the minute, so a second call is a no-op. Returns the minute and whether the schedule was created. Throws other SDK
 * errors.
 */
export async function leaveOneTimeSchedule(
  client: SchedulerClient,
  { group, target, now }: { readonly group: string; readonly target: Target; readonly now: Date },
): Promise<{ readonly at: Date; readonly made: boolean }> {
  const { ConflictException, CreateScheduleCommand } = await import("@aws-sdk/client-scheduler");
  const at = nextMinute(now);
  const minute = at.toISOString().slice(0, "2026-01-01T00:00".length);
  const name = `${CATCH_UP_PREFIX}${minute.replace(":", "-")}`;
  const command = new CreateScheduleCommand({
    Name: name,
    ClientToken: name,
    GroupName: group,
    Description: "Backstop: one run between two ticks. Deletes itself.",
    ScheduleExpression: `at(${minute}:00)`,
    ScheduleExpressionTimezone: "UTC",
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: "DELETE",
    Target: { ...target, Input: CATCH_UP_INPUT },
  });
  try {
    await client.send(command);
    return { at, made: true };
  } catch (thrown) {
    if (thrown instanceof ConflictException) return { at, made: false };
    throw thrown;
  }
}
