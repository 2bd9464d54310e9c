import { closeWindow } from "../../domain/digest-times.ts";
import type { ChannelDown, OutgoingDigest, Retry, SendOutcome } from "../channel-ports.ts";
import { redactError } from "../redact-error.ts";
import { backoffMs, NEXT_RUN_MS } from "../settlement.ts";
import { type RunContext, type RunStep, sumOf } from "../step.ts";
import type { DigestSettlement } from "../store-ports.ts";

/** With backoff this spans nearly a day; then the next digest is due. */
const FAILURES_AT_MOST = 24;

/** Each checked digest counts once per receiver, and once if it has none. */
export interface DigestsReport {
  checked: number;
  sent: number;
  /** No events, or no receiver. */
  skipped: number;
  failed: number;
  /** Waiting for a retry; in a dry run, ready to send. */
  retrying: number;
  /** May have been sent; not sent again. */
  unknown: number;
}

/** Closes digest windows at their local time and sends each workspace its digest. */
export const notificationDigests: RunStep<"notification-digests", "notificationDigests", DigestsReport> = {
  name: "notification-digests",
  reportKey: "notificationDigests",
  sends: true,
  // However much is due, the digests get their time.
  reservedTime: 0.1,
  emptyReport: () => ({ checked: 0, sent: 0, skipped: 0, failed: 0, retrying: 0, unknown: 0 }),
  async run(context, report) {
    if (!(await context.store.isDigestDue(context.batch))) return;
    await closeWindows(context, report);
    await endDeadLeases(context, report);
    await sendDigests(context, report);
  },
  balance: ({ checked, ...outcomes }) => [{ taken: checked, accounted: sumOf(outcomes), what: "digests were checked" }],
};

async function closeWindows(context: RunContext, report: DigestsReport): Promise<void> {
  const { now, batch, store, stopping } = context;
  while (!stopping()) {
    const { looked, skipped } = await store.closeDigestWindows(batch, (open) => closeWindow(open, now));
    report.checked += skipped;
    report.skipped += skipped;
    if (looked === 0) return;
  }
}

async function endDeadLeases(context: RunContext, report: DigestsReport): Promise<void> {
  while (!context.stopping()) {
    const unknown = await context.store.expireDigestLeases(context.batch);
    report.checked += unknown;
    report.unknown += unknown;
    if (unknown === 0) return;
  }
}

/** Takes only as many as it sends concurrently, so a killed run leaves no digest taken but not started. */
async function sendDigests(context: RunContext, report: DigestsReport): Promise<void> {
  const { batch, rehearsal, settings, store, stopping, leaseUntil } = context;
  if (rehearsal) {
    const count = await store.countDigests(batch);
    report.checked += count;
    report.retrying += count;
    return;
  }
  while (!stopping()) {
    const digests = await store.claimDigests({ ...batch, limit: settings.sendsAtOnce }, leaseUntil);
    if (digests.length === 0) return;
    report.checked += digests.length;
    await sendAll(context, digests, report);
  }
}

/** The counts balance at every moment: an unsettled digest counts as `unknown`. Rethrows the first error. */
async function sendAll(context: RunContext, digests: readonly OutgoingDigest[], report: DigestsReport): Promise<void> {
  report.unknown += digests.length;
  const ends = await Promise.allSettled(
    digests.map(async (digest) => {
      const settlement = await settlementOf(context, digest);
      await context.store.settleDigest(settlement, context.now);
      report.unknown -= 1;
      report[settlement.status === "pending" ? "retrying" : settlement.status] += 1;
      if (settlement.status !== "sent") {
        const { workspaceId, channel } = digest;
        context.log.info("digest.not_sent", { workspaceId, channel, ...settlement });
      }
    }),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function settlementOf(context: RunContext, digest: OutgoingDigest): Promise<DigestSettlement> {
  const { id, to } = digest;
  if (to === null) return { id, status: "skipped", reason: "no_receiver" };
  const outcome = await send(context, digest, to);
  switch (outcome.kind) {
    case "accepted":
      return { id, status: "sent", providerId: outcome.providerId };
    case "refused":
      return { id, status: "failed", reason: outcome.reason };
    case "unknown":
      return { id, status: "unknown", reason: outcome.reason };
    case "retry":
      return afterPassingFault(digest, outcome, context.now);
    case "channel_down":
      return afterChannelFault(digest, outcome, context.now);
    default:
      return outcome satisfies never;
  }
}

/**
 * E-mail digests share channel health with touches. A sender that throws has a bug, so the outcome is `unknown`; the
 * error is redacted because it may hold the content.
 */
async function send({ digests, health, log }: RunContext, digest: OutgoingDigest, to: string): Promise<SendOutcome> {
  const shared = digest.channel === "email" ? { ...digest, channel: digest.channel } : null;
  const closed = shared && health.closed(shared);
  if (closed) return closed;
  try {
    const outcome = await digests[digest.channel].send(digest, to);
    if (shared) health.note(shared, outcome);
    return outcome;
  } catch (thrown) {
    log.error("digest.threw", { id: digest.id, error: redactError(thrown) });
    return { kind: "unknown", reason: "sender_failed" };
  }
}

function afterPassingFault(
  { id, failures: before }: OutgoingDigest,
  { reason, throttled, notStarted }: Retry,
  now: Date,
): DigestSettlement {
  const failures = throttled && !throttled.ofReceiver ? before : before + 1;
  if (failures >= FAILURES_AT_MOST) return { id, status: "failed", reason };
  const waitMs = Math.max(throttled?.retryAfterMs ?? 0, backoffMs(Math.max(1, failures), Math.random()));
  const recheckAt = new Date(now.getTime() + waitMs);
  return { id, status: "pending", reason, failures, recheckAt, ...(notStarted && { attemptUnused: true }) };
}

/** Uses no attempt, as for a touch. */
function afterChannelFault(
  { id, failures }: OutgoingDigest,
  { reason, notStarted }: ChannelDown,
  now: Date,
): DigestSettlement {
  const recheckAt = new Date(now.getTime() + (notStarted ? NEXT_RUN_MS : backoffMs(1, Math.random())));
  return { id, status: "pending", reason, failures, recheckAt, attemptUnused: true };
}
