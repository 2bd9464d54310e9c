import { type Decision, holdsEndedBy } from "../domain/decision.ts";
import type { ClaimedPlan, Plan } from "./claim-ports.ts";
import { PROBLEMS_REPORTED, type ReportedProblem, type SampleDecision, type SendDueReport } from "./step-reports.ts";

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

const PROBLEM_REASONS: ReadonlySet<string> = new Set<Decision["reason"] | "already_claimed">([
  ...holdsEndedBy("repair"),
  "missing_data",
  "out_of_steps",
  "already_claimed",
]);

/** Adds a row that needs attention. Once the list is full, it replaces a row of the workspace with the most. */
function addProblem(
  problems: ReportedProblem[],
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
function placeOf(problems: readonly ReportedProblem[], workspaceId: string): number {
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
