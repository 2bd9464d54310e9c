import type { ChannelFault } from "./channel-health.ts";
import type { LockHolder } from "./ports.ts";
import type { Trigger } from "./request.ts";
import type { RunStep } from "./step.ts";
import { PROBLEMS_REPORTED, type Problem, type SampleDecision, type SendDueReport } from "./step-reports.ts";
import { STEPS, type StepName, type StepReports } from "./steps.ts";
import type { ClaimedPlan, Plan } from "./store-ports.ts";

export type Reason =
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

const COUNTED_AS = {
  send: "claimed",
  awaitApproval: "awaitingApproval",
  hold: "held",
  pause: "paused",
  skip: "skipped",
  expire: "expired",
  complete: "completed",
} as const;

/** Counts a claimed plan in the report. */
export function tally(report: SendDueReport, { plan, touchId }: ClaimedPlan): void {
  const { touch, decision } = plan;
  const lost = touch !== null && touchId === null;
  const reason = lost ? "already_claimed" : decision.reason;
  report.due += 1;
  report[lost ? "skipped" : COUNTED_AS[decision.kind]] += 1;
  report.reasons[reason] = (report.reasons[reason] ?? 0) + 1;
  if (decision.kind === "hold" && decision.until) tallyHold(report, reason, decision.until.toISOString());
  addProblem(report.problems, plan, reason);
}

function tallyHold({ holds }: SendDueReport, reason: string, until: string): void {
  const hold = holds[reason] ?? { steps: 0, earliest: until, latest: until };
  holds[reason] = {
    steps: hold.steps + 1,
    earliest: until < hold.earliest ? until : hold.earliest,
    latest: until > hold.latest ? until : hold.latest,
  };
}

export function sampleOf({ candidate: { instanceId, position }, decision }: Plan): SampleDecision {
  const { kind, reason, rule, until } = decision;
  return { instanceId, position, decision: kind, reason, rule, ...(until && { until: until.toISOString() }) };
}

const LONGEST_DETAIL = 300;

const PROBLEM_REASONS: ReadonlySet<string> = new Set([
  "unreadable_row",
  "decision_failed",
  "invalid_time_zone",
  "invalid_send_times",
  "invalid_sender",
  "no_opening",
  "unknown_condition",
  "invalid_template",
  "missing_data",
  "out_of_steps",
  "already_claimed",
]);

/** Adds a row that needs attention. Once the list is full, it replaces a row of the workspace with the most. */
function addProblem(
  problems: Problem[],
  { candidate: { instanceId, workspaceId }, decision }: Plan,
  reason: string,
): void {
  if (!PROBLEM_REASONS.has(reason)) return;
  const place = problems.length < PROBLEMS_REPORTED ? problems.length : placeOf(problems, workspaceId);
  if (place === -1) return;
  const { detail } = decision;
  problems[place] = { instanceId, workspaceId, reason, ...(detail && { detail: onOneLine(detail) }) };
}

/** Index of the last row of the workspace with the most rows; -1 if replacing it would not even out the shares. */
function placeOf(problems: readonly Problem[], workspaceId: string): number {
  const counts = new Map<string, number>();
  for (const problem of problems) counts.set(problem.workspaceId, (counts.get(problem.workspaceId) ?? 0) + 1);
  const most = Math.max(...counts.values());
  if (most - 1 <= (counts.get(workspaceId) ?? 0)) return -1;
  return problems.findLastIndex((problem) => counts.get(problem.workspaceId) === most);
}

/** A detail may quote user input, which may be long and contain line breaks. */
function onOneLine(detail: string): string {
  const characters = Array.from(detail.slice(0, 2 * LONGEST_DETAIL).replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " "));
  return characters.length > LONGEST_DETAIL ? `${characters.slice(0, LONGEST_DETAIL).join("")}…` : characters.join("");
}
