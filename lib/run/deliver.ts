import pMap from "p-map";
import { REPEATABLE_CHANNELS } from "../domain/labels.ts";
import type { OutgoingTouch, SendOutcome, Settlement } from "./ports.ts";
import type { DeliveryReport } from "./report.ts";
import type { RunContext } from "./step.ts";

/** So many touches can be of unknown outcome after a kill. */
const GROUP_SIZE = 50;
/** Longer than any invocation lives, so that a lease that ran out means a dead sender. */
const LEASE_MS = 15 * 60_000;
const ATTEMPTS_AT_MOST = 6;

/**
 * Sends claimed touches, a group at a time: check and mark `sending`, call the providers, settle. No transaction is open
 * while a provider is called. The counts hold at every moment, so that a failure half-way leaves a report that balances:
 * what is not started is still claimed and counts as `retrying`, what is not settled counts as `unknown`.
 */
export async function deliver(context: RunContext, touchIds: readonly string[], report: DeliveryReport): Promise<void> {
  report.retrying += touchIds.length;
  for (let first = 0; first < touchIds.length && !context.stopping(); first += GROUP_SIZE) {
    await deliverGroup(context, touchIds.slice(first, first + GROUP_SIZE), report);
  }
}

async function deliverGroup(context: RunContext, touchIds: readonly string[], report: DeliveryReport): Promise<void> {
  const { now, store, settings, log } = context;
  const { started, cancelled } = await store.startSending(touchIds, { now, until: new Date(now.getTime() + LEASE_MS) });
  report.retrying -= started.length + cancelled.length;
  report.cancelled += cancelled.length;
  report.unknown += started.length;
  const settlements = await pMap(started, async (touch) => settlementOf(touch, await send(context, touch), now), {
    concurrency: settings.sendsAtOnce,
  });
  await store.settle(settlements, now);
  report.unknown -= started.length;
  for (const settlement of settlements) {
    report[settlement.status === "claimed" ? "retrying" : settlement.status] += 1;
    if (settlement.status !== "sent") {
      log.info("touch.not_sent", { touchId: settlement.touchId, status: settlement.status, reason: settlement.reason });
    }
  }
}

/**
 * No call is begun once the run is stopping. A channel that throws has a bug, and nobody can say how far it came: the
 * outcome is unknown, unless the channel acts once however often the touch comes.
 */
async function send({ channels, log, stopping }: RunContext, touch: OutgoingTouch): Promise<SendOutcome> {
  if (stopping()) return { kind: "retry", reason: "run_stopped" };
  try {
    return await channels[touch.channel].send(touch);
  } catch (thrown) {
    log.error("channel.threw", { touchId: touch.id, channel: touch.channel, error: thrown });
    return { kind: REPEATABLE_CHANNELS.includes(touch.channel) ? "retry" : "unknown", reason: "channel_failed" };
  }
}

function settlementOf(touch: OutgoingTouch, outcome: SendOutcome, now: Date): Settlement {
  switch (outcome.kind) {
    case "accepted":
      return { touchId: touch.id, status: "sent", providerId: outcome.providerId };
    case "refused":
      return { touchId: touch.id, status: "failed", reason: outcome.reason };
    case "unknown":
      return { touchId: touch.id, status: "unknown", reason: outcome.reason };
    case "retry": {
      const attempts = touch.attempts;
      if (attempts >= ATTEMPTS_AT_MOST) return { touchId: touch.id, status: "failed", reason: outcome.reason };
      const nextAttemptAt = new Date(now.getTime() + backoffMs(attempts, Math.random()));
      return { touchId: touch.id, status: "claimed", reason: outcome.reason, nextAttemptAt };
    }
    default:
      return outcome satisfies never;
  }
}

/** One minute after the first attempt, doubled at each, at most an hour; the jitter spreads what failed together. */
export const backoffMs = (attempts: number, jitter: number): number =>
  Math.min(60 * 60_000, 60_000 * 2 ** (attempts - 1)) * (0.5 + jitter / 2);
