import type { Opening } from "../domain/calendar.ts";
import type { HoldReason } from "../domain/decision.ts";
import { perChannel } from "../domain/labels.ts";
import { earliestSend, lastReachedAt, type SendFacts } from "../domain/send-times.ts";
import { isTimeZone, recheckSoon, repairBy, zoneUsed } from "../domain/time-zone.ts";
import type { ChannelDown, Retry, SendOutcome } from "./channel-ports.ts";
import type { EndedTouch, Rescheduled, Settlement, TouchSendFacts } from "./delivery-ports.ts";

/** An attempt to send a touch or a digest. */
export interface Attempt {
  readonly id: string;
  /** Attempts that failed with a transient error. */
  readonly failures: number;
  /** Since when it may be sent. */
  readonly waitingSince: Date;
  /** Since when the receiver's server defers it. Undefined: not recorded, so a deferral counts as a failure. */
  readonly deferredSince?: Date | null;
}

interface SettlementContext {
  readonly now: Date;
  /** Failures after which the attempt fails for good. */
  readonly failuresAtMost: number;
  /** True if the provider answered another message after this one hit a channel fault. */
  readonly othersAnswered: boolean;
  /** Between 0 and 1. */
  readonly jitter: number;
}

/** With backoff this spans half an hour. */
export const TOUCH_FAILURES_AT_MOST = 6;
/** With backoff this spans nearly a day; then the next digest is due. */
export const DIGEST_FAILURES_AT_MOST = 24;

const DEFERRED_AT_MOST_MS = 24 * 60 * 60_000;
const FIRST_BACKOFF_MS = 60_000;
/** A refused sender of one lead is tried this often: soon enough after a repair, and its touches crowd out no others. */
const SENDER_RECHECK_MS = 60 * 60_000;
/** Reached after seven failures of a digest, and by deferrals. A touch fails for good before. */
const BACKOFF_AT_MOST_MS = 60 * 60_000;

/** Maps the outcome of a send to the new state of its touch or digest. */
export function settlementOf(attempt: Attempt, outcome: SendOutcome, context: SettlementContext): Settlement {
  const { id } = attempt;
  switch (outcome.kind) {
    case "accepted":
      return { id, status: "sent", providerId: outcome.providerId };
    case "refused":
      return { id, status: "failed", reason: outcome.reason, ...(outcome.undeliverable && { undeliverable: true }) };
    case "unknown":
      return { id, status: "unknown", reason: outcome.reason };
    case "retry":
      return afterTransientError(attempt, outcome, context);
    case "channel_down":
      return afterChannelFault(attempt, outcome, context);
    default:
      return outcome satisfies never;
  }
}

/**
 * A channel fault uses no attempt. The message that hit it backs off for up to a minute. Messages that were not
 * started keep their age. The next run probes the channel with them. Messages of a lead's own sender wait for up to an
 * hour.
 */
function afterChannelFault(attempt: Attempt, outcome: ChannelDown, context: SettlementContext): Settlement {
  const { reason, otherwise, notStarted, mayHaveArrived, scope } = outcome;
  if (otherwise && context.othersAnswered) return settlementOf(attempt, otherwise, context);
  const { id, failures, waitingSince } = attempt;
  const waitMs = scope === "sender" ? jittered(SENDER_RECHECK_MS, context.jitter) : backoffMs(1, context.jitter);
  const nextAttemptAt = notStarted && scope !== "sender" ? waitingSince : inMs(waitMs, context);
  const arrival = mayHaveArrived && { mayHaveArrived };
  return { id, status: "retry", reason, failures, nextAttemptAt, attemptUnused: true, ...arrival };
}

/** A send that was not started or was throttled is not a failure. `afterDeferral` limits deferrals by the receiver. */
function afterTransientError(attempt: Attempt, outcome: Retry, context: SettlementContext): Settlement {
  const { id, failures: before, waitingSince, deferredSince } = attempt;
  const { reason, throttled, notStarted, mayHaveArrived } = outcome;
  if (notStarted) {
    const nextAttemptAt = throttled?.retryAfterMs ? inMs(throttled.retryAfterMs, context) : waitingSince;
    return { id, status: "retry", reason, failures: before, nextAttemptAt, attemptUnused: true };
  }
  if (throttled?.ofReceiver && deferredSince !== undefined) {
    return afterDeferral(attempt, deferredSince ?? context.now, reason, context);
  }
  const failures = throttled && !throttled.ofReceiver ? before : before + 1;
  if (failures >= context.failuresAtMost) return { id, status: "failed", reason };
  const waitMs = Math.max(throttled?.retryAfterMs ?? 0, backoffMs(Math.max(1, failures), context.jitter));
  const arrival = mayHaveArrived && { mayHaveArrived };
  return { id, status: "retry", reason, failures, nextAttemptAt: inMs(waitMs, context), ...arrival };
}

/** Waits about as long as the touch has been deferred already, at most an hour. Fails after a day. */
function afterDeferral(
  { id, failures }: Attempt,
  deferredSince: Date,
  reason: string,
  context: SettlementContext,
): Settlement {
  const deferredMs = context.now.getTime() - deferredSince.getTime();
  if (deferredMs >= DEFERRED_AT_MOST_MS) return { id, status: "failed", reason };
  const waitMs = jittered(Math.min(BACKOFF_AT_MOST_MS, Math.max(FIRST_BACKOFF_MS, deferredMs)), context.jitter);
  return { id, status: "retry", reason, failures, nextAttemptAt: inMs(waitMs, context), deferredSince };
}

const inMs = (waitMs: number, { now }: SettlementContext): Date => new Date(now.getTime() + waitMs);

/** Exponential backoff: one minute after the first failure, doubling up to an hour. */
const backoffMs = (failures: number, jitter: number): number =>
  jittered(Math.min(BACKOFF_AT_MOST_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1)), jitter);

/** Spreads simultaneous retries over the second half of the wait. */
const jittered = (waitMs: number, jitter: number): number => waitMs * (0.5 + jitter / 2);

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
