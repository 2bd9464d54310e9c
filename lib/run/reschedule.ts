import { recheckSoon, repairBy } from "../domain/recheck-times.ts";
import { earliestSend, type SendFacts } from "../domain/send-times.ts";
import type { EndedTouch, Rescheduled, TouchSendFacts } from "./delivery-ports.ts";

/**
 * Decides anew when a claimed touch may go. The gap and the channel's local day were kept when it was first tried; an
 * attempt of its own does not stand in the way of the next, unless another touch has gone since then. What cannot be
 * decided yet must not pass for decided: so without an opening, what has gone meanwhile stays unseen.
 */
export function rescheduled({ touchId, reason }: EndedTouch, facts: TouchSendFacts, now: Date): Rescheduled {
  const seen = facts.facts.lead.lastOutboundAt;
  const undecided = { touchId, reason, sendUntil: null, expectedOutboundAt: facts.triedLast ? seen : null };
  if (facts.switchedOff) return { ...undecided, nextAttemptAt: recheckSoon(now) };
  const from = facts.snoozedUntil && facts.snoozedUntil > now ? facts.snoozedUntil : now;
  const opening = openingFrom(facts.triedLast ? withoutLastTouch(facts.facts) : facts.facts, from);
  if (!opening) return { ...undecided, nextAttemptAt: repairBy(now) };
  return { touchId, reason, nextAttemptAt: opening.from, sendUntil: opening.until, expectedOutboundAt: seen };
}

/** A touch whose rows do not parse waits until somebody has had time to repair them, and is decided on anew then. */
export const unreadable = ({ touchId }: EndedTouch, now: Date): Rescheduled => ({
  touchId,
  reason: "unreadable_row",
  nextAttemptAt: repairBy(now),
  sendUntil: null,
  expectedOutboundAt: null,
});

const NEVER = { email: null, sms: null, webhook: null, task: null };

const withoutLastTouch = (facts: SendFacts): SendFacts => ({
  ...facts,
  lead: { ...facts.lead, lastOutboundAt: null, lastTouchAt: NEVER },
});

/** Send times that do not exist any more are for a person to repair, as they are for a step that is due. */
function openingFrom(facts: SendFacts, from: Date) {
  try {
    return earliestSend(facts, from);
  } catch (thrown) {
    if (thrown instanceof RangeError) return null;
    throw thrown;
  }
}
