import type { Verdict } from "./decision.ts";
import { repairBy } from "./recheck-times.ts";
import { messageOf, type RuleContext, stepOf } from "./rule-context.ts";
import { expiryOf } from "./rules-on-time.ts";

export function templateIncomplete({ rendered, now }: RuleContext): Verdict | undefined {
  const text = rendered();
  if (text.kind === "missing") {
    return { kind: "pause", reason: "missing_data", recheckAt: null, detail: `missing: ${text.names.join(", ")}` };
  }
  if (text.kind === "invalid") {
    return { kind: "hold", reason: "invalid_template", until: repairBy(now), detail: text.fault };
  }
  return undefined;
}

export function approvalNeeded(given: RuleContext): Verdict | undefined {
  const step = stepOf(given);
  if (!step.needsApproval) return undefined;
  const expiresAt = expiryOf(given);
  return { kind: "awaitApproval", reason: "needs_approval", step, message: messageOf(given), expiresAt };
}

export function ready(given: RuleContext): Verdict {
  const opening = given.opening();
  if (!opening) throw new Error("a send was decided on before the rule that the send window opens");
  return {
    kind: "send",
    reason: "ready",
    step: stepOf(given),
    message: messageOf(given),
    sendUntil: opening.until,
    expiresAt: expiryOf(given),
  };
}
