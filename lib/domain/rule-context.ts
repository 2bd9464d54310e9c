import type { Opening } from "./calendar.ts";
import type { Verdict } from "./decision.ts";
import { type DueItem, type Step, stepFrom } from "./due-item.ts";
import { earliestSend, type SendFacts } from "./send-times.ts";
import { type Message, type Rendered, render } from "./templates.ts";
import { type ZoneUsed, zoneUsed } from "./time-zone.ts";

/** A due item as the rules see it. Values that several rules share are computed lazily and once. */
export interface RuleContext extends DueItem {
  readonly now: Date;
  readonly zone: ZoneUsed;
  readonly step: Step | undefined;
  readonly rendered: () => Rendered;
  /** The earliest opening for the step. Throws RangeError for invalid send times. */
  readonly opening: () => Opening | null;
}

/** Returns a verdict if the rule applies, otherwise undefined. */
export type Evaluate = (given: RuleContext) => Verdict | undefined;

export function contextOf(item: DueItem, now: Date): RuleContext {
  const { lead, workspace, sequence, instance } = item;
  const step = stepFrom(sequence, instance.position);
  return {
    lead,
    workspace,
    sequence,
    instance,
    now,
    step,
    zone: zoneUsed(lead, workspace),
    rendered: once(() => render(stepOf({ step }), lead, workspace)),
    opening: once(() => earliestSend(factsOf({ lead, workspace, step }), now)),
  };
}

function once<Value>(work: () => Value): () => Value {
  let done: { readonly value: Value } | undefined;
  return () => {
    done ??= { value: work() };
    return done.value;
  };
}

export const factsOf = (given: Pick<RuleContext, "lead" | "workspace" | "step">): SendFacts => ({
  lead: given.lead,
  workspace: given.workspace,
  channel: stepOf(given).channel,
});

export function stepOf({ step }: Pick<RuleContext, "step">): Step {
  if (!step) throw new Error("a rule that needs a step ran before the rule step_left");
  return step;
}

export function messageOf({ rendered }: RuleContext): Message {
  const text = rendered();
  if (text.kind !== "rendered") throw new Error("a message was needed before the rule template_complete ran");
  return text.message;
}
