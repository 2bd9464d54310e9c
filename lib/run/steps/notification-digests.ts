import { closeWindow } from "../../domain/digest.ts";
import type { OutgoingDigest, SendOutcome } from "../channel-ports.ts";
import { redactError } from "../redact-error.ts";
import { DIGEST_FAILURES_AT_MOST, settlementOf } from "../settlement.ts";
import { type RunContext, type RunStep, sumOf } from "../step.ts";
import type { DigestSettlement } from "../store-ports.ts";

/** Each checked digest counts once per receiver, and once if it has none. */
interface DigestsReport {
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
    const { checked, skipped } = await store.closeDigestWindows(batch, (open) => closeWindow(open, now));
    report.checked += skipped;
    report.skipped += skipped;
    if (checked === 0) return;
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
      const settlement = await sendAndSettle(context, digest);
      await context.store.settleDigest(settlement, context.now);
      report.unknown -= 1;
      report[settlement.status === "retry" ? "retrying" : settlement.status] += 1;
      if (settlement.status !== "sent") {
        const { workspaceId, channel } = digest;
        context.log.info("digest.not_sent", { workspaceId, channel, ...settlement });
      }
    }),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function sendAndSettle(context: RunContext, digest: OutgoingDigest): Promise<DigestSettlement> {
  const { now, health } = context;
  const { id, failures, to } = digest;
  if (to === null) return { id, status: "skipped", reason: "no_receiver" };
  const outcome = await send(context, digest, to);
  const shared = sharedChannel(digest);
  const othersAnswered = shared !== null && outcome.kind === "channel_down" && health.answeredAnother(shared, outcome);
  const failuresAtMost = DIGEST_FAILURES_AT_MOST;
  const attempt = { id, failures, waitingSince: now };
  return settlementOf(attempt, outcome, { now, failuresAtMost, othersAnswered, jitter: Math.random() });
}

/** E-mail digests share their channel, and its health, with touches. */
const sharedChannel = ({ channel, id, workspaceId }: OutgoingDigest) =>
  channel === "email" ? { channel, id, workspaceId } : null;

/** A sender that throws has a bug, so the outcome is `unknown`; the error is redacted because it may hold the content. */
async function send({ digests, health, log }: RunContext, digest: OutgoingDigest, to: string): Promise<SendOutcome> {
  const shared = sharedChannel(digest);
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
