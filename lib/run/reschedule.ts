import type { Opening } from "../domain/calendar.ts";
import type { HoldReason } from "../domain/decision.ts";
import { recheckSoon, repairBy } from "../domain/instants.ts";
import { perChannel } from "../domain/labels.ts";
import { earliestSend, lastReachedAt, type SendFacts } from "../domain/send-times.ts";
import { isTimeZone, zoneUsed } from "../domain/time-zone.ts";
import type { EndedTouch, Rescheduled, TouchSendFacts } from "./store-ports.ts";

/**
 * Recomputes when a claimed touch may be sent. Gap and local day ignore the touch's own last attempt, unless another
 * touch was sent after it. Without an opening, `expectedOutboundAt` does not acknowledge other touches, so the next
 * start decides again.
 */
export function rescheduled({ touchId, reason }: EndedTouch, facts: TouchSendFacts, now: Date): Rescheduled {
  const seen = lastReachedAt(facts.facts.lead, facts.facts.channel);
  const undecided = { touchId, reason, sendUntil: null, expectedOutboundAt: facts.triedLast ? seen : null };
  if (facts.switchedOff) return { ...undecided, nextAttemptAt: recheckSoon(now) };
  const from = facts.snoozedUntil && facts.snoozedUntil > now ? facts.snoozedUntil : now;
  const opening = openingFrom(facts.triedLast ? withoutLastTouch(facts.facts) : facts.facts, from);
  if ("fault" in opening) return { ...undecided, reason: opening.fault, nextAttemptAt: repairBy(now) };
  return { touchId, reason, nextAttemptAt: opening.from, sendUntil: opening.until, expectedOutboundAt: seen };
}

/** Holds an undecidable touch for a day, so that it can be repaired. */
export const broken = (
  { touchId }: EndedTouch,
  reason: "unreadable_row" | "decision_failed",
  now: Date,
): Rescheduled => ({
  touchId,
  reason,
  nextAttemptAt: repairBy(now),
  sendUntil: null,
  expectedOutboundAt: null,
});

const NEVER = perChannel(() => null);

const withoutLastTouch = (facts: SendFacts): SendFacts => ({
  ...facts,
  lead: { ...facts.lead, lastOutboundAt: null, lastTouchAt: NEVER },
});

/** The next opening, or the reason why there is none; the reasons are those of a due step. */
function openingFrom(facts: SendFacts, from: Date): Opening | { readonly fault: HoldReason } {
  if (!isTimeZone(zoneUsed(facts.lead, facts.workspace).zone)) return { fault: "invalid_time_zone" };
  try {
    return earliestSend(facts, from) ?? { fault: "no_opening" };
  } catch (thrown) {
    if (thrown instanceof RangeError) return { fault: "invalid_send_times" };
    throw thrown;
  }
}
