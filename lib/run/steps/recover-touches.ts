import { sendLeftovers } from "../leftovers.ts";
import { noDelivery, type RecoveredReport } from "../report.ts";
import type { RunContext, RunStep } from "../step.ts";

/**
 * Ends expired approvals and dead leases, then sends claimed touches whose time has come. Runs before new steps are
 * claimed, because claimed touches are older.
 */
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
    await sendLeftovers(context, report);
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
