import { closeWindow } from "../../domain/digest-times.ts";
import type { ChannelDown, OutgoingDigest, Retry, SendOutcome } from "../channel-ports.ts";
import { redactError } from "../redact-error.ts";
import { type DigestsReport, noDigests } from "../report.ts";
import { backoffMs, NEXT_RUN_MS } from "../settlement.ts";
import type { RunContext, RunStep } from "../step.ts";
import type { DigestSettlement } from "../store-ports.ts";

/** With backoff this spans nearly a day; then the next digest is due. */
const FAILURES_AT_MOST = 24;

/** Closes digest windows at their local time and sends each workspace its digest. */
export const notificationDigests: RunStep = {
  name: "notification-digests",
  sends: true,
  async run(context, reports) {
    const report = noDigests();
    reports.notificationDigests = report;
    const { now, request, store } = context;
    if (!(await store.isDigestDue({ now, workspaceId: request.workspaceId ?? null }))) return;
    await closeWindows(context, report);
    await endDeadLeases(context, report);
    await sendDigests(context, report);
  },
};

const batchOf = ({ now, request }: RunContext, limit: number) => ({
  now,
  limit,
  workspaceId: request.workspaceId ?? null,
});

async function closeWindows(context: RunContext, report: DigestsReport): Promise<void> {
  const { now, settings, store, stopping } = context;
  while (!stopping()) {
    const query = batchOf(context, settings.batchSize);
    const { looked, skipped } = await store.closeDigestWindows(query, (open) => closeWindow(open, now));
    report.checked += skipped;
    report.skipped += skipped;
    if (looked === 0) return;
  }
}

async function endDeadLeases(context: RunContext, report: DigestsReport): Promise<void> {
  while (!context.stopping()) {
    const unknown = await context.store.expireDigestLeases(batchOf(context, context.settings.batchSize));
    report.checked += unknown;
    report.unknown += unknown;
    if (unknown === 0) return;
  }
}

/** Takes only as many as it sends concurrently, so a killed run leaves no digest taken but not begun. */
async function sendDigests(context: RunContext, report: DigestsReport): Promise<void> {
  const { now, request, settings, store, stopping, leaseUntil } = context;
  if (request.dryRun) {
    const count = await store.countDigests({ now, workspaceId: request.workspaceId ?? null });
    report.checked += count;
    report.retrying += count;
    return;
  }
  while (!stopping()) {
    const digests = await store.claimDigests(batchOf(context, settings.sendsAtOnce), leaseUntil);
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
