import type { ChannelFault } from "./channel-health.ts";
import { DatabaseUnreachable, type LockHolder, SchemaOutOfDate, UnsafeDatabaseSettings } from "./ports.ts";
import type { Trigger } from "./request.ts";
import type { RunStep } from "./step.ts";
import type { SampleDecision } from "./step-reports.ts";
import { STEPS, type StepName, type StepReports } from "./steps.ts";

type Reason =
  | "invalid_event"
  | "schema_out_of_date"
  | "unsafe_database_settings"
  | "database_unreachable"
  | "locked"
  | "out_of_time"
  | "lock_lost";

/** The result that a run returns, stores in `run` and logs in one line. Holds ids and counts, no personal data. */
export interface Report extends StepReports {
  statusCode: 200 | 400 | 500 | 503;
  /** Computed: no errors, and the report balances. */
  success: boolean;
  errors: string[];
  /** True if another run held the overlap lock, so only the backstop ran. */
  skipped: boolean;
  reason?: Reason;
  /** With `schema_out_of_date`: the migrations, columns or labels that the database lacks. */
  missing?: readonly string[];
  /** With `unsafe_database_settings`: each setting with the statement that fixes it. */
  unsafeSettings?: readonly string[];
  /**
   * Failed channels, for all workspaces (also an error) or for one; at most `PROBLEMS_REPORTED`. Their touches stay claimed
   * and lose no attempt.
   */
  channelFaults: readonly ChannelFault[];
  /** Whether messages have unsubscribe links. */
  unsubscribeLinks: boolean;
  heldBy?: LockHolder;
  /** The lock was still held after its holder's deadline, so this run continued without it. */
  staleLock?: LockHolder;
  sample?: SampleDecision[];
  runId: string | null;
  trigger: Trigger;
  dryRun: boolean;
  /** Start of the run on the database's clock, ISO 8601 UTC; null if the clock could not be read. */
  timestamp: string | null;
  durationMs: number;
}

/** Describes each imbalance of a report; empty if it balances. */
export function imbalances(reports: StepReports): string[] {
  const steps: readonly RunStep<StepName, keyof StepReports, object>[] = STEPS;
  const balances = steps.flatMap((step) => {
    const report = reports[step.reportKey];
    return report === null ? [] : (step.balance?.(report) ?? []);
  });
  return balances
    .filter(({ taken, accounted }) => taken !== accounted)
    .map(
      ({ taken, accounted, what }) =>
        `the report does not balance: ${taken} ${what}, ${accounted} of them are accounted for`,
    );
}

/** A run for an unknown workspace would report zeros, which look like success. */
export class UnknownWorkspace extends Error {
  override readonly name = "UnknownWorkspace";
  constructor(workspaceId: string) {
    super(`workspaceId: there is no workspace ${workspaceId}`);
  }
}

/** Adds an error and what follows from it. `where` names the step. */
export function addFault(report: Report, thrown: unknown, where = ""): void {
  report.errors.push(`${where}${thrown instanceof Error ? thrown.message : String(thrown)}`);
  if (thrown instanceof SchemaOutOfDate) {
    Object.assign(report, { reason: thrown.code, missing: [...(report.missing ?? []), ...thrown.missing] });
  } else if (thrown instanceof UnsafeDatabaseSettings) {
    Object.assign(report, { reason: thrown.code, unsafeSettings: thrown.settings });
  } else if (thrown instanceof DatabaseUnreachable) report.reason = thrown.code;
  else if (thrown instanceof UnknownWorkspace) Object.assign(report, { statusCode: 400, reason: "invalid_event" });
}

/** Reasons that the database must fix, not the run. */
const REFUSALS: readonly Reason[] = ["schema_out_of_date", "unsafe_database_settings", "database_unreachable"];

/** Computes success, status code and duration. */
export function conclude(report: Report, startedMs: number): void {
  report.success = report.errors.length === 0;
  const refused = report.reason !== undefined && REFUSALS.includes(report.reason);
  if (!report.success && report.statusCode === 200) report.statusCode = refused ? 503 : 500;
  report.durationMs = Math.round(performance.now() - startedMs);
}

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
