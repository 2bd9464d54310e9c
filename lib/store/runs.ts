import type { StartedRun, StoredReport } from "../run/ports.ts";
import type { Db } from "./connect.ts";

/** Inserts the row of a started run and returns its id. A row that stays unfinished means that the run died. */
export async function startRun(db: Db, run: StartedRun): Promise<string> {
  const { id } = await db.run.create({ data: run, select: { id: true } });
  return id;
}

/** Stores the report, and whether this run made the daily comparison. */
export async function finishRun(db: Db, runId: string, report: StoredReport, finishedAt: Date): Promise<void> {
  const compared = typeof report.backstop?.missedByMarker === "number" ? report.timestamp : null;
  await db.run.update({
    where: { id: runId },
    data: { finishedAt, success: report.success, comparedAt: compared, report: JSON.parse(JSON.stringify(report)) },
  });
}
