import { recheckAt, repairBy } from "../domain/look-again.ts";
import { earliestSend, type SendFacts } from "../domain/send-times.ts";
import type { EndedTouch, Rescheduled, TouchSendFacts } from "./ports.ts";

/**
 * Decides anew when a claimed touch may go. The gap and the channel's local day were kept when it was first tried; an
 * attempt of its own does not stand in the way of the next.
 */
export function rescheduled({ touchId, reason }: EndedTouch, facts: TouchSendFacts, now: Date): Rescheduled {
  const outboundBefore = facts.facts.lead.lastOutboundAt;
  if (facts.switchedOff) return { touchId, reason, nextAttemptAt: recheckAt(now), sendUntil: null, outboundBefore };
  const from = facts.snoozedUntil && facts.snoozedUntil > now ? facts.snoozedUntil : now;
  const opening = openingFrom(facts.attempted ? withoutLastTouch(facts.facts) : facts.facts, from);
  const nextAttemptAt = opening?.from ?? repairBy(now);
  return { touchId, reason, nextAttemptAt, sendUntil: opening?.until ?? null, outboundBefore };
}

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
