import type { DecidedPlan } from "./plan.ts";
import { PROBLEMS_REPORTED, type Problem } from "./report.ts";

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
export function printProblem(
  problems: Problem[],
  { instanceId, workspaceId, decision }: DecidedPlan,
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
  for (const told of problems) counts.set(told.workspaceId, (counts.get(told.workspaceId) ?? 0) + 1);
  const most = Math.max(...counts.values());
  if (most - 1 <= (counts.get(workspaceId) ?? 0)) return -1;
  return problems.findLastIndex((told) => counts.get(told.workspaceId) === most);
}

/** A detail may quote user input, which may be long and contain line breaks. */
function onOneLine(detail: string): string {
  const characters = Array.from(detail.slice(0, 2 * LONGEST_DETAIL).replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " "));
  return characters.length > LONGEST_DETAIL ? `${characters.slice(0, LONGEST_DETAIL).join("")}…` : characters.join("");
}
