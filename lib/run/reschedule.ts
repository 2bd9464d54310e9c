import type { Opening } from "../domain/calendar.ts";
import type { HoldReason } from "../domain/decision.ts";
import { recheckSoon, repairBy } from "../domain/recheck-times.ts";
import { earliestSend, lastReachedAt, type SendFacts } from "../domain/send-times.ts";
import { isTimeZone, zoneUsed } from "../domain/time-zone.ts";
import type { EndedTouch, Rescheduled, TouchSendFacts } from "./delivery-ports.ts";

/**
 * Decides anew when a claimed touch may go. The gap and the channel's local day were kept when it was first tried; an
 * attempt of its own does not stand in the way of the next, unless another touch has gone since then. What cannot be
 * decided yet must not pass for decided: so without an opening, what has gone meanwhile stays unseen.
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

/** A touch that cannot be decided on waits a day for a person to repair it. */
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

const NEVER = { email: null, sms: null, webhook: null, task: null };

const withoutLastTouch = (facts: SendFacts): SendFacts => ({
  ...facts,
  lead: { ...facts.lead, lastOutboundAt: null, lastTouchAt: NEVER },
});

/** The next opening, or why there is none: the same reasons as for a due step. */
function openingFrom(facts: SendFacts, from: Date): Opening | { readonly fault: HoldReason } {
  if (!isTimeZone(zoneUsed(facts.lead, facts.workspace).zone)) return { fault: "invalid_time_zone" };
  try {
    return earliestSend(facts, from) ?? { fault: "no_opening" };
  } catch (thrown) {
    if (thrown instanceof RangeError) return { fault: "invalid_send_times" };
    throw thrown;
  }
}
