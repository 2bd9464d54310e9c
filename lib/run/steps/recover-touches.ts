import { dispatch } from "../dispatch.ts";
import { noDelivery, type RecoveredReport } from "../report.ts";
import type { RunContext, RunStep } from "../step.ts";

/** Takes up touches that wait for another attempt or that a dead sender left, and ends those that nobody decided on. */
export const recoverTouches: RunStep = {
  name: "recover-touches",
  sends: true,
  async run(context, reports) {
    const delivery = context.request.dryRun ? null : noDelivery();
    const report: RecoveredReport = { expired: 0, unknown: 0, reclaimed: 0, takenUp: 0, delivery };
    reports.recovered = report;
    const { now, request, store } = context;
    if (!(await store.isTouchLeftBehind({ now, workspaceId: request.workspaceId ?? null }))) return;
    await endUndecided(context, report);
    await endDeadLeases(context, report);
    await takeUp(context, report);
  },
};

async function endUndecided({ now, request, settings, store, stopping }: RunContext, report: RecoveredReport) {
  while (!stopping()) {
    const query = { now, limit: settings.batchSize, workspaceId: request.workspaceId ?? null };
    const expired = await store.expireWaiting(query);
    report.expired += expired;
    if (expired === 0) return;
  }
}

async function endDeadLeases({ now, request, settings, store, stopping }: RunContext, report: RecoveredReport) {
  while (!stopping()) {
    const { unknown, reclaimed } = await store.expireLeases({
      now,
      limit: settings.batchSize,
      workspaceId: request.workspaceId ?? null,
    });
    report.unknown += unknown;
    report.reclaimed += reclaimed;
    if (unknown + reclaimed === 0) return;
  }
}

/** Whatever becomes of what it took, nobody finds it again before this run is over. */
async function takeUp(context: RunContext, report: RecoveredReport): Promise<void> {
  const { now, request, settings, store, stopping, claimedUntil } = context;
  const query = { now, limit: settings.batchSize, workspaceId: request.workspaceId ?? null };
  while (!stopping()) {
    const touchIds = await store.takeUp(query, claimedUntil);
    if (touchIds.length === 0) return;
    report.takenUp += touchIds.length;
    if (report.delivery) await dispatch(context, { begun: [], touchIds }, report.delivery);
  }
}
