import { sendLeftovers } from "../leftovers.ts";
import { type RunContext, type RunStep, sumOf } from "../step.ts";
import { noDelivery, type RecoveredReport } from "../step-reports.ts";

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
