import { deliver } from "../deliver.ts";
import type { TouchCursor } from "../ports.ts";
import { noDelivery, type RecoveredReport } from "../report.ts";
import type { RunContext, RunStep } from "../step.ts";

/** Takes up touches that wait for another attempt or that a dead sender left. */
export const recoverTouches: RunStep = {
  name: "recover-touches",
  reachesLeads: true,
  async run(context, reports) {
    const delivery = context.request.dryRun ? null : noDelivery();
    const report: RecoveredReport = { unknown: 0, reclaimed: 0, takenUp: 0, delivery };
    reports.recovered = report;
    await endDeadLeases(context, report);
    await takeUp(context, report);
  },
};

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

/** Page by page: a touch that cannot go now stays where it is, and must not be found again by this run. */
async function takeUp(context: RunContext, report: RecoveredReport): Promise<void> {
  const { now, request, settings, store, stopping } = context;
  const query = { now, limit: settings.batchSize, workspaceId: request.workspaceId ?? null };
  let after: TouchCursor | null = null;
  do {
    const { touchIds, end }: Awaited<ReturnType<typeof store.findToSend>> = await store.findToSend(query, after);
    report.takenUp += touchIds.length;
    if (report.delivery) await deliver(context, touchIds, report.delivery);
    after = end;
  } while (after && !stopping());
}
