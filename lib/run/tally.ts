import type { DecidedPlan } from "./plan.ts";
import type { ClaimedPlan } from "./ports.ts";
import { printProblem } from "./problems.ts";
import type { SampleDecision, SendDueReport } from "./report.ts";

const COUNTED_AS = {
  send: "claimed",
  awaitApproval: "awaitingApproval",
  hold: "held",
  pause: "paused",
  skip: "skipped",
  expire: "expired",
  complete: "completed",
} as const;

export function tally(report: SendDueReport, plan: DecidedPlan, done: ClaimedPlan) {
  const { touch, decision } = plan;
  const lost = touch !== null && done.touchId === null;
  const reason = lost ? "already_claimed" : decision.reason;
  report.due += 1;
  report[lost ? "skipped" : COUNTED_AS[decision.kind]] += 1;
  report.reasons[reason] = (report.reasons[reason] ?? 0) + 1;
  if (decision.kind === "hold" && decision.until) tallyHold(report, reason, decision.until.toISOString());
  printProblem(report.problems, plan, reason);
}

function tallyHold({ holds }: SendDueReport, reason: string, until: string) {
  const hold = holds[reason] ?? { steps: 0, earliest: until, latest: until };
  holds[reason] = {
    steps: hold.steps + 1,
    earliest: until < hold.earliest ? until : hold.earliest,
    latest: until > hold.latest ? until : hold.latest,
  };
}

export function sampleOf({
  instanceId,
  position,
  decision: { kind, reason, rule, until },
}: DecidedPlan): SampleDecision {
  return { instanceId, position, decision: kind, reason, rule, ...(until && { until: until.toISOString() }) };
}
