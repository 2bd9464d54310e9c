import type { Channel, SequenceTrigger, StepCondition } from "./labels.ts";

/** A sequence as a person writes it: nothing in it is of one database. */
export interface WrittenSequence {
  /** By which a workspace knows it again. */
  readonly name: string;
  readonly triggerOn: SequenceTrigger;
  readonly active: boolean;
  /** In their order. */
  readonly steps: readonly WrittenStep[];
}

export interface WrittenStep {
  /** By which it is the same step in the next version. */
  readonly key: string;
  /** After the step before it; after the start for the first. */
  readonly delayMinutes: number;
  readonly channel: Channel;
  readonly subject: string | null;
  readonly body: string;
  readonly condition: StepCondition;
  readonly needsApproval: boolean;
  /** Null: it may be sent however late. */
  readonly timeToLiveMinutes: number | null;
}

/** What becomes of one step. One that `moved` stands elsewhere among the steps that stay. */
export type StepChange =
  | { readonly kind: "kept" | "added"; readonly step: WrittenStep }
  | { readonly kind: "changed"; readonly before: WrittenStep; readonly step: WrittenStep; readonly moved: boolean }
  | { readonly kind: "removed"; readonly before: WrittenStep };

export interface SequenceChange {
  /** None at all: what is written is there already. */
  readonly isNone: boolean;
  /** Leads who are inside keep the version that they started with. Otherwise the change reaches them too. */
  readonly needsNewVersion: boolean;
  /** The new steps in their order, then those that are gone. */
  readonly steps: readonly StepChange[];
}

/** What a sequence becomes when `after` is written where `before` was. Steps are the same where their keys are. */
export function changeOf(before: WrittenSequence | undefined, after: WrittenSequence): SequenceChange {
  const old = before?.steps ?? [];
  const kept = old.filter(({ key }) => after.steps.some((step) => step.key === key));
  const order = after.steps.filter(({ key }) => kept.some((step) => step.key === key));
  const steps = after.steps.map((step): StepChange => {
    const place = kept.findIndex(({ key }) => key === step.key);
    const same = kept[place];
    if (!same) return { kind: "added", step };
    const moved = order[place]?.key !== step.key;
    return moved || !isSameStep(same, step) ? { kind: "changed", before: same, step, moved } : { kind: "kept", step };
  });
  const removed = old
    .filter((step) => !kept.includes(step))
    .map((step) => ({ kind: "removed" as const, before: step }));
  const isSameHead = before?.triggerOn === after.triggerOn && before.active === after.active;
  const isSameSteps = removed.length === 0 && steps.every(({ kind }) => kind === "kept");
  return {
    isNone: isSameHead && isSameSteps,
    needsNewVersion: !isSameWay(old, after.steps),
    steps: [...steps, ...removed],
  };
}

/** The same steps in the same order after the same delays: nobody inside can skip or repeat one by such a change. */
const isSameWay = (before: readonly WrittenStep[], after: readonly WrittenStep[]): boolean =>
  before.length === after.length &&
  after.every(({ key, delayMinutes }, index) => {
    const old = before[index];
    return old?.key === key && old.delayMinutes === delayMinutes;
  });

export const STEP_FIELDS = [
  "delayMinutes",
  "channel",
  "condition",
  "needsApproval",
  "timeToLiveMinutes",
  "subject",
  "body",
] as const satisfies readonly (keyof WrittenStep)[];

const isSameStep = (one: WrittenStep, other: WrittenStep): boolean =>
  STEP_FIELDS.every((field) => one[field] === other[field]);
