import { CHANNELS, type Channel } from "../../domain/labels.ts";
import { deliver } from "../deliver.ts";
import type { Leftover } from "../delivery-ports.ts";
import { type RunContext, type RunStep, sendsItself, sumOf } from "../step.ts";
import { type DeliveryReport, noDelivery, type RecoveredReport } from "../step-reports.ts";

/**
 * Ends expired approvals and dead leases, then sends claimed touches whose time has come. Runs before new steps are
 * claimed, because claimed touches are older.
 */
export const recoverTouches: RunStep<"recover-touches", "recovered", RecoveredReport> = {
  name: "recover-touches",
  reportKey: "recovered",
  sends: true,
  timeShare: 0.5,
  emptyReport: (dryRun) => ({
    expired: 0,
    unknown: 0,
    reclaimed: 0,
    takenUp: 0,
    delivery: dryRun ? null : noDelivery(),
  }),
  async run(context, report) {
    const { batch, store } = context;
    if (!(await store.hasTouchesToRecover(batch))) return;
    await expireApprovals(context, report);
    await endDeadLeases(context, report);
    await sendLeftovers(context, report);
  },
  balance: ({ takenUp, delivery }) =>
    delivery ? [{ taken: takenUp, accounted: sumOf(delivery), what: "touches were taken up" }] : [],
};

async function expireApprovals({ batch, store, stopping }: RunContext, report: RecoveredReport): Promise<void> {
  while (!stopping()) {
    const expired = await store.expireApprovals(batch);
    report.expired += expired;
    if (expired === 0) return;
  }
}

async function endDeadLeases({ batch, store, stopping }: RunContext, report: RecoveredReport): Promise<void> {
  while (!stopping()) {
    const { unknown, reclaimed } = await store.expireLeases(batch);
    report.unknown += unknown;
    report.reclaimed += reclaimed;
    if (unknown + reclaimed === 0) return;
  }
}

/** Touches per listing. If time remains after these, the next ones are listed. */
const LISTED_AT_MOST = 10_000;

/**
 * Sends claimed touches whose retry time has passed, in fair turns between workspaces and at each channel's own rate.
 * A touch that is taken up but not sent waits for the next run.
 */
export async function sendLeftovers(context: RunContext, report: RecoveredReport): Promise<void> {
  const { batch, store, stopping } = context;
  while (!stopping()) {
    const listed = await store.findLeftovers({ ...batch, limit: LISTED_AT_MOST });
    const before = report.takenUp;
    await (sendsItself(context) ? sendByChannel : enqueueInBatches)(context, listed, report);
    if (report.takenUp === before) return;
  }
}

async function enqueueInBatches(
  context: RunContext,
  listed: readonly Leftover[],
  report: RecoveredReport,
): Promise<void> {
  const { now, store, settings, stopping, claimedUntil } = context;
  for (let first = 0; first < listed.length && !stopping(); first += settings.batchSize) {
    const batch = listed.slice(first, first + settings.batchSize).map(({ id }) => id);
    const touchIds = await store.claimAgain(batch, now, claimedUntil);
    report.takenUp += touchIds.length;
    if (report.delivery) await enqueue(context, touchIds, report.delivery);
  }
}

/** Enqueues claimed touches. Throws if the queue did not accept all of them; the rest stay claimed for the next run. */
export async function enqueue(
  { queue, store, now }: RunContext,
  touchIds: readonly string[],
  report: DeliveryReport,
): Promise<void> {
  if (!queue) throw new Error("there is no delivery queue");
  report.retrying += touchIds.length;
  const { refused, faults } = await queue.enqueue(touchIds);
  const accepted = touchIds.length - refused.length;
  report.retrying -= accepted;
  report.queued += accepted;
  if (refused.length === 0) return;
  await store.release(refused, now);
  const why = [...new Set(faults)].join(", ");
  throw new Error(
    `the delivery queue did not take ${refused.length} of ${touchIds.length} touches (${why}); the next run tries again`,
  );
}

/** Waits for all channels even if one fails, then rethrows the first error. */
async function sendByChannel(context: RunContext, listed: readonly Leftover[], report: RecoveredReport): Promise<void> {
  const byChannel = Map.groupBy(listed, ({ channel }) => channel);
  const ends = await Promise.allSettled(
    CHANNELS.map((channel) => sendInTurn(context, channel, byChannel.get(channel) ?? [], report)),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

/** Takes up no more than the channel can send in the time left, and nothing while it is closed. */
async function sendInTurn(
  context: RunContext,
  channel: Channel,
  waiting: readonly Leftover[],
  report: RecoveredReport,
): Promise<void> {
  const { now, store, settings, stopping, leftMs, claimedUntil, throughput, health } = context;
  let left = waiting;
  while (!stopping()) {
    left = left.filter((touch) => health.closed(touch) === null);
    const granted = Math.min(settings.batchSize, left.length, throughput.free(channel, leftMs()));
    if (granted === 0) return;
    throughput.reserve(channel, granted);
    const sending = throughput.sending(channel, granted);
    try {
      const next = left.slice(0, granted).map(({ id }) => id);
      left = left.slice(granted);
      const touchIds = await store.claimAgain(next, now, claimedUntil);
      report.takenUp += touchIds.length;
      if (report.delivery)
        await deliver({ ...context, adaptiveBatch: sending }, { started: [], touchIds }, report.delivery);
    } finally {
      sending.end();
    }
  }
}
