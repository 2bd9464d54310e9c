import { type Decision, decide, repairBy } from "../domain/decide.ts";
import { evolve } from "../domain/evolve.ts";
import type { DueCandidate, Plan } from "./ports.ts";

/** A plan with the decision it follows from, kept for the report. */
export interface DecidedPlan extends Plan {
  readonly workspaceId: string;
  readonly position: number;
  readonly decision: Told;
}

/** What the report tells of a decision. */
export type Told = Pick<Decision, "kind" | "reason" | "rule"> & {
  readonly detail?: string | undefined;
  readonly until?: Date | undefined;
};

/** Decides on one candidate. A row that cannot be read or decided on is held for a day and does not stop the batch. */
export function planFor(candidate: DueCandidate, now: Date): DecidedPlan {
  const { read } = candidate;
  if ("fault" in read) return holdBroken(candidate, "unreadable_row", read.fault, now);
  try {
    const decision = decide(read.item, now);
    return {
      ...idsOf(candidate),
      state: evolve(read.item, decision, now),
      touch: touchOf(decision),
      decision: told(decision),
    };
  } catch (thrown) {
    return holdBroken(candidate, "decision_failed", thrown instanceof Error ? thrown.message : String(thrown), now);
  }
}

const idsOf = ({ instanceId, workspaceId, position }: DueCandidate) => ({ instanceId, workspaceId, position });

function touchOf(decision: Decision): Plan["touch"] {
  if (decision.kind !== "send" && decision.kind !== "awaitApproval") return null;
  const { step, message } = decision;
  const status = decision.kind === "send" ? "claimed" : "awaiting_approval";
  return { status, stepId: step.id, channel: step.channel, message };
}

const told = (decision: Decision): Told => ({
  kind: decision.kind,
  reason: decision.reason,
  rule: decision.rule,
  detail: "detail" in decision ? decision.detail : undefined,
  until: "until" in decision ? decision.until : undefined,
});

function holdBroken(
  candidate: DueCandidate,
  reason: "unreadable_row" | "decision_failed",
  detail: string,
  now: Date,
): DecidedPlan {
  const until = repairBy(now);
  const { position, heldSince, nextStepDue } = candidate;
  const since = heldSince ?? nextStepDue;
  return {
    ...idsOf(candidate),
    state: { status: "active", position, nextStepDue: until, hold: { reason, since } },
    touch: null,
    decision: { kind: "hold", reason, rule: reason, detail, until },
  };
}
