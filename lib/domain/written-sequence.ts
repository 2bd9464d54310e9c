import { CHANNEL_REGISTRY } from "./channels.ts";
import type { Step } from "./due-item.ts";
import {
  CHANNELS,
  type Channel,
  PLACEHOLDER_KINDS,
  type PlaceholderKind,
  SEQUENCE_TRIGGERS,
  type SequenceTrigger,
  STEP_CONDITIONS,
  type StepCondition,
} from "./labels.ts";
import { writesSlots } from "./late-values.ts";
import { LEAD_COLUMNS, TEMPLATE_KEYS, type TemplateKey, type TemplateLead } from "./lead-columns.ts";
import { checkTemplate, type UsedField } from "./template-check.ts";
import { forAuthor } from "./template-faults.ts";
import { isFilterResult } from "./template-language.ts";
import { type StepTexts, TEMPLATE_NAMES, textTemplate } from "./templates.ts";

/** A sequence as its author writes it, independent of any database. */
export interface WrittenSequence {
  /** Identifies the sequence in a workspace. */
  readonly name: string;
  readonly triggerOn: SequenceTrigger;
  readonly active: boolean;
  /** In order. */
  readonly steps: readonly WrittenStep[];
}

export interface WrittenStep {
  /** Identifies the step across versions. */
  readonly key: string;
  /** After the previous step, or after the start for the first step. */
  readonly delayMinutes: number;
  readonly channel: Channel;
  readonly subject: string | null;
  readonly body: string;
  /** Placeholders that the texts send as they are; sorted, each once. */
  readonly allow: readonly PlaceholderKind[];
  readonly condition: StepCondition;
  readonly needsApproval: boolean;
  /** Null means no limit. */
  readonly timeToLiveMinutes: number | null;
}

/** A step as it is stored: its labels may be known only to a newer version of this code. */
export interface LenientStep extends Omit<WrittenStep, "channel" | "condition" | "allow"> {
  readonly channel: string;
  readonly condition: string;
  readonly allow: readonly string[];
}

/** A sequence as it is stored: its labels may be known only to a newer version of this code. */
export interface LenientSequence extends Omit<WrittenSequence, "triggerOn" | "steps"> {
  readonly triggerOn: string;
  readonly steps: readonly LenientStep[];
}

/** Whether this code knows all labels of the sequence. */
export const isKnownSequence = (sequence: LenientSequence): sequence is WrittenSequence =>
  has(SEQUENCE_TRIGGERS, sequence.triggerOn) && sequence.steps.every(isKnownStep);

/** Whether this code knows all labels of the step. */
export const isKnownStep = (step: LenientStep): step is WrittenStep =>
  has(CHANNELS, step.channel) &&
  has(STEP_CONDITIONS, step.condition) &&
  step.allow.every((kind) => has(PLACEHOLDER_KINDS, kind));

const has = (labels: readonly string[], label: string): boolean => labels.includes(label);

/** The change to one step. `moved` means that its order among the kept steps changed. */
export type StepChange =
  | { readonly kind: "kept" | "added"; readonly step: WrittenStep }
  | { readonly kind: "changed"; readonly before: LenientStep; readonly step: WrittenStep; readonly moved: boolean }
  | { readonly kind: "removed"; readonly before: LenientStep };

export interface SequenceChange {
  /** True if the new version equals the old one. */
  readonly isNone: boolean;
  /** If true, active leads keep the version that they started with. Otherwise the change applies to them too. */
  readonly needsNewVersion: boolean;
  /** The new steps in order, then the removed ones. */
  readonly steps: readonly StepChange[];
}

/** The change when `after` replaces `before`. Steps are matched by key. */
export function changeOf(before: LenientSequence | undefined, after: WrittenSequence): SequenceChange {
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

/** Same steps, order and delays. Such a change cannot make an active lead skip or repeat a step. */
const isSameWay = (before: readonly LenientStep[], after: readonly WrittenStep[]): boolean =>
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
  "allow",
  "subject",
  "body",
] as const satisfies readonly (keyof WrittenStep)[];

const isSameStep = (one: LenientStep, other: WrittenStep): boolean =>
  STEP_FIELDS.every((field) => JSON.stringify(one[field]) === JSON.stringify(other[field]));

export interface TextFault {
  readonly part: "subject" | "body";
  /** The error message for the author. */
  readonly message: string;
}

/**
 * All faults in a step's templates; empty if the step can be sent to a lead with every value. Checks with the rendering
 * code. Messages quote the template: show them to its author, but never log them.
 */
export function lintStep({ channel, subject, body, allow }: StepTexts): readonly TextFault[] {
  return [
    ...subjectFaults(channel, subject, allow).map((message) => ({ part: "subject" as const, message })),
    ...bodyFaults(body, allow).map((message) => ({ part: "body" as const, message })),
  ];
}

function subjectFaults(channel: Channel, subject: string | null, allow: Step["allow"]): readonly string[] {
  if (subject === null || subject.trim() === "")
    return CHANNEL_REGISTRY[channel].isMail ? ["is empty; an e-mail needs one"] : [];
  const slots = writesSlots({ body: subject }) ? ["offers times, which are several lines: write them in the body"] : [];
  const oneLine = /\p{Cc}|\u2028|\u2029/u.test(subject) ? ["contains a line break or another control character"] : [];
  return textFaults(subject, allow, [...slots, ...oneLine]);
}

function bodyFaults(body: string, allow: Step["allow"]): readonly string[] {
  if (body.trim() === "") return ["is empty"];
  return textFaults(body, allow, /[^\P{Cc}\t\n\r]/u.test(body) ? ["contains a control character"] : []);
}

function textFaults(text: string, allow: Step["allow"], found: readonly string[]): readonly string[] {
  const checked = checkTemplate(text, TEMPLATE_NAMES, allow);
  const faults = [...found, ...checked.faults.map(forAuthor)];
  if (faults.length > 0) return faults;
  const filled = textTemplate(text, allow)(sampleLead(checked.fields), SOMEWHERE);
  if (filled.kind === "filled") return [];
  if (filled.kind === "faulty") return filled.faults;
  // The result of a filter depends on the lead.
  return filled.names.filter((name) => !isFilterResult(name)).map((name) => `${name} has no value here`);
}

/** A sample lead with every value that the texts of a step may read. */
export const sampleLeadFor = ({ subject, body, allow }: StepTexts): TemplateLead =>
  sampleLead([subject ?? "", body].flatMap((text) => checkTemplate(text, TEMPLATE_NAMES, allow).fields));

const sampleLead = (fields: readonly UsedField[]): TemplateLead => ({
  ...SAMPLE_LEAD,
  fields: Object.fromEntries(fields.map(({ name }) => [name, `(${name})`])),
});

/** A sample lead with every column and no custom field. */
export const SAMPLE_LEAD: TemplateLead = {
  ...(Object.fromEntries(TEMPLATE_KEYS.map((key) => [key, LEAD_COLUMNS[key].example])) as Record<TemplateKey, string>),
  fields: {},
};
const SOMEWHERE = { name: "Northwind" };
