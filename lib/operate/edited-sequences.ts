import type { Sequence, Step } from "../domain/due-item.ts";
import type { WrittenStep } from "../domain/written-sequence.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import type { SequencePlan } from "../store/sequences.ts";
import type { StoredSteps } from "../store/stored-sequences.ts";

/**
 * The instance as `sequences apply` would leave it. It keeps the steps, order and delays of its version; what
 * `upsertSequences` changes in all versions is changed. Pure.
 */
export type Edit = (live: LiveInstance) => LiveInstance;

/** The edit that these plans make. `stored` has the steps of all versions of their sequences. */
export function editOf(plans: readonly SequencePlan[], stored: StoredSteps): Edit {
  const changed = plans.filter(({ change }) => !change.isNone);
  const planOf = new Map(changed.flatMap((plan) => (plan.stored ? [[plan.stored.id, plan] as const] : [])));
  const done = new WeakMap<Sequence, Sequence>();
  return (live) => {
    const { candidate } = live;
    const plan = "item" in candidate.read ? planOf.get(candidate.read.item.sequence.id) : undefined;
    if (!plan || !("item" in candidate.read)) return live;
    const { item } = candidate.read;
    const sequence = done.get(item.sequence) ?? edited(item.sequence, plan, stored);
    done.set(item.sequence, sequence);
    return { ...live, candidate: { ...candidate, read: { item: { ...item, sequence } } } };
  };
}

function edited(sequence: Sequence, { after }: SequencePlan, stored: StoredSteps): Sequence {
  const written = new Map(after.steps.map((step) => [step.key, step]));
  const steps = sequence.steps.map((step) => withWords(step, written.get(stored.get(step.id)?.key ?? "")));
  return { ...sequence, triggerOn: after.triggerOn, active: after.active, steps };
}

function withWords(step: Step, written: WrittenStep | undefined): Step {
  if (!written) return step;
  const { key: _, delayMinutes: __, ...words } = written;
  return { ...step, ...words };
}
