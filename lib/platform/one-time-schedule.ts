import type { SchedulerClient, Target } from "@aws-sdk/client-scheduler";
import { CATCH_UP_PREFIX } from "./names.ts";

const MINUTE_MS = 60_000;
/** Enough for the request to arrive before the minute that it asks for. */
const ARRIVAL_MS = 5_000;

/** What the function is told in a run that was asked for between two ticks: it fails as loudly as a scheduled one. */
export const CATCH_UP_INPUT = JSON.stringify({ trigger: "catch_up", scheduledTime: "<aws.scheduler.scheduled-time>" });

/** The next full minute that a schedule can still be made for. Scheduler is no more exact than that. */
export const nextMinute = (now: Date): Date =>
  new Date(Math.ceil((now.getTime() + ARRIVAL_MS) / MINUTE_MS) * MINUTE_MS);

/**
 * Leaves a schedule that invokes the target once, at the next full minute, and then deletes itself. Its name is that of the minute:
 * asked for twice it is there once. Answers the minute, and whether it was there already. Throws what the SDK throws besides.
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
