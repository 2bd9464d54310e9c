import type { Report } from "./report.ts";

/** An unattended run failed. The message lists all errors; the report is in `run` and in the log. */
export class RunFailed extends Error {
  override readonly name = "RunFailed";
  readonly code = "run_failed";
  readonly report: Report;
  constructor(report: Report) {
    super(`run ${report.runId ?? "without a record"} failed: ${report.errors.join("; ")}`);
    this.report = report;
  }
}
