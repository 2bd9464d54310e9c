import type { Verdict } from "./decision.ts";
import { factsOf, type RuleContext, stepOf } from "./rule-context.ts";
import { capDayEnd, channelUsedToday, earliestSend, shutNow, tooSoon } from "./send-times.ts";
import { isTimeZone, minutesAfter, recheckSoon, repairBy } from "./time-zone.ts";

export function tooOld(given: RuleContext): Verdict | undefined {
  const end = expiryOf(given);
  return end && end <= given.now ? { kind: "expire", reason: "time_to_live_over" } : undefined;
}

/** The end of the time to live, counted from the due time before any hold. Null means no limit. */
export function expiryOf(given: RuleContext): Date | null {
  const { timeToLiveMinutes } = stepOf(given);
  const { heldSince, nextStepDue } = given.instance;
  return timeToLiveMinutes === null ? null : minutesAfter(heldSince ?? nextStepDue, timeToLiveMinutes);
}

export function sendTimesUnknown(given: RuleContext): Verdict | undefined {
  const { zone, from } = given.zone;
  const until = repairBy(given.now);
  if (!isTimeZone(zone)) {
    const row = from === "lead" ? given.lead : given.workspace;
    return {
      kind: "hold",
      reason: "invalid_time_zone",
      until,
      detail: `${from} ${row.id}: time_zone is not a time zone`,
    };
  }
  try {
    if (given.opening()) return undefined;
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    return {
      kind: "hold",
      reason: "invalid_send_times",
      until,
      detail: `workspace ${given.workspace.id}: ${thrown.message}`,
    };
  }
  return {
    kind: "hold",
    reason: "no_opening",
    until,
    detail: `workspace ${given.workspace.id}: the send window does not open within a year`,
  };
}

export function windowShut(given: RuleContext): Verdict | undefined {
  if (given.opening()?.from === given.now) return undefined;
  const reason = shutNow(factsOf(given), given.now);
  return reason && { kind: "hold", reason, until: nextSend(given) };
}

export function gapNotOver(given: RuleContext): Verdict | undefined {
  if (!tooSoon(factsOf(given), given.now)) return undefined;
  return { kind: "hold", reason: "too_soon", until: nextSend(given) };
}

export function channelUsed(given: RuleContext): Verdict | undefined {
  if (!channelUsedToday(factsOf(given), given.now)) return undefined;
  return { kind: "hold", reason: "channel_used_today", until: nextSend(given) };
}

/**
 * What is left of a cap goes to the steps that have waited longest, whichever zone opens first. A step for which older ones
 * leave nothing is decided again once these had their turn: one that did not go leaves its place.
 */
export function capReached(given: RuleContext): Verdict | undefined {
  const { dailyCap, dailyCapUsed, timeZone } = given.workspace;
  if (dailyCap === null) return undefined;
  const left = Math.max(0, dailyCap - dailyCapUsed);
  const { ahead } = given.instance;
  if ((ahead?.steps ?? 0) < left) return undefined;
  const dayEnd = capDayEnd(timeZone, given.now);
  if (left === 0 || !ahead) return { kind: "hold", reason: "daily_cap_reached", until: nextSend(given, dayEnd) };
  const afterThem = Math.min(dayEnd.getTime(), Math.max(ahead.until.getTime(), recheckSoon(given.now).getTime()));
  return {
    kind: "hold",
    reason: "daily_cap_reached",
    until: nextSend(given, new Date(afterThem)),
    detail: `steps that have waited longer: ${ahead.steps}, left of the cap: ${left}`,
  };
}

/** The earliest send time from `from` on that passes all time rules, as far as known now. */
const nextSend = (given: RuleContext, from?: Date): Date =>
  (from ? earliestSend(factsOf(given), from) : given.opening())?.from ?? repairBy(given.now);
