import type { ChannelHealth } from "./channel-health.ts";
import type { ChannelDown, OutgoingTouch, Retry, SendOutcome } from "./channel-ports.ts";
import type { Settlement } from "./store-ports.ts";

interface Judging {
  readonly now: Date;
  readonly health: ChannelHealth;
}

const FAILURES_AT_MOST = 6;
const DEFERRED_AT_MOST_MS = 24 * 60 * 60_000;
const FIRST_BACKOFF_MS = 60_000;
const BACKOFF_AT_MOST_MS = 60 * 60_000;
/** Makes a digest due after this run's `now` and no later than the next run's. */
export const NEXT_RUN_MS = 1;

/** Maps the outcome of a send to the new state of its touch. */
export function settlementOf(touch: OutgoingTouch, outcome: SendOutcome, context: Judging): Settlement {
  const { id: touchId } = touch;
  switch (outcome.kind) {
    case "accepted":
      return { touchId, status: "sent", providerId: outcome.providerId };
    case "refused":
      return {
        touchId,
        status: "failed",
        reason: outcome.reason,
        ...(outcome.undeliverable && { undeliverable: true }),
      };
    case "unknown":
      return { touchId, status: "unknown", reason: outcome.reason };
    case "retry":
      return afterPassingFault(touch, outcome, context.now);
    case "channel_down":
      return afterChannelFault(touch, outcome, context);
    default:
      return outcome satisfies never;
  }
}

/**
 * A channel fault uses no attempt. The touch that hit it backs off for up to a minute. Touches that were not begun keep
 * their age and go in the next run, which thus probes the channel with other messages.
 */
function afterChannelFault(touch: OutgoingTouch, outcome: ChannelDown, context: Judging): Settlement {
  const { now, health } = context;
  const { reason, otherwise, notStarted, mayHaveArrived } = outcome;
  if (otherwise && health.tookAnother(touch, outcome)) return settlementOf(touch, otherwise, context);
  const { id: touchId, failures, waitingSince } = touch;
  const nextAttemptAt = notStarted ? waitingSince : new Date(now.getTime() + backoffMs(1, Math.random()));
  const arrival = mayHaveArrived && { mayHaveArrived };
  return { touchId, status: "claimed", reason, failures, nextAttemptAt, attemptUnused: true, ...arrival };
}

/** A send that was not begun or was throttled is not a failure. `afterDeferral` limits deferrals by the receiver. */
function afterPassingFault(touch: OutgoingTouch, outcome: Retry, now: Date): Settlement {
  const { id: touchId, failures: before, waitingSince } = touch;
  const { reason, throttled, notStarted, mayHaveArrived } = outcome;
  if (notStarted) {
    const nextAttemptAt = throttled?.retryAfterMs ? new Date(now.getTime() + throttled.retryAfterMs) : waitingSince;
    return { touchId, status: "claimed", reason, failures: before, nextAttemptAt, attemptUnused: true };
  }
  if (throttled?.ofReceiver) return afterDeferral(touch, reason, now);
  const failures = throttled ? before : before + 1;
  if (failures >= FAILURES_AT_MOST) return { touchId, status: "failed", reason };
  const waitMs = Math.max(throttled?.retryAfterMs ?? 0, backoffMs(Math.max(1, failures), Math.random()));
  const nextAttemptAt = new Date(now.getTime() + waitMs);
  return { touchId, status: "claimed", reason, failures, nextAttemptAt, ...(mayHaveArrived && { mayHaveArrived }) };
}

/** Waits about as long as the touch has been deferred already, at most an hour. Fails after a day. */
function afterDeferral({ id: touchId, failures, deferredSince }: OutgoingTouch, reason: string, now: Date): Settlement {
  const deferredMs = now.getTime() - (deferredSince ?? now).getTime();
  if (deferredMs >= DEFERRED_AT_MOST_MS) return { touchId, status: "failed", reason };
  const waitMs = jittered(Math.min(BACKOFF_AT_MOST_MS, Math.max(FIRST_BACKOFF_MS, deferredMs)), Math.random());
  const nextAttemptAt = new Date(now.getTime() + waitMs);
  return { touchId, status: "claimed", reason, failures, nextAttemptAt, deferredSince: deferredSince ?? now };
}

/** Exponential backoff: one minute after the first failure, doubling up to an hour. `jitter` is between 0 and 1. */
export const backoffMs = (failures: number, jitter: number): number =>
  jittered(Math.min(BACKOFF_AT_MOST_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1)), jitter);

/** Spreads simultaneous retries over the second half of the wait. */
const jittered = (waitMs: number, jitter: number): number => waitMs * (0.5 + jitter / 2);
