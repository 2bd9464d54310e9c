import * as z from "zod";
import { CHANNELS, PLACEHOLDER_KINDS, SEQUENCE_TRIGGERS, STEP_CONDITIONS } from "../domain/labels.ts";
import { lintStep } from "../domain/written-sequence.ts";

/** A label of a closed set. The error names the unknown value and lists the known ones. */
const label = <Label extends string>(what: string, labels: readonly Label[]) =>
  z.enum(labels, {
    error: ({ input }) => `unknown ${what} ${JSON.stringify(input)}; use one of ${labels.join(", ")}`,
  });

const allow = z.array(label("kind of placeholder", PLACEHOLDER_KINDS)).transform((kinds) => [...new Set(kinds)].sort());

const textFields = {
  channel: label("channel", CHANNELS),
  subject: z.string().nullable().default(null),
  body: z.string(),
  /** Placeholders that the texts send as they are. */
  allow: allow.default([]),
};

const key = z
  .string()
  .max(64)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "must be lowercase letters and digits, separated by single hyphens");

/** The fields of a step and a sequence, without delays, which have several notations. */
export const stepFields = {
  /** Identifies the step when the sequence is saved again. */
  key,
  ...textFields,
  condition: label("condition", STEP_CONDITIONS).default("always"),
  needsApproval: z.boolean().default(false),
};
export const sequenceFields = {
  name: z.string().regex(/^\P{Cc}*[^\s\p{Cc}]\P{Cc}*$/u, "must be a name on one line"),
  triggerOn: label("trigger", SEQUENCE_TRIGGERS),
  active: z.boolean().default(true),
};

/** Minutes after the previous step; for the first step, after the start. */
export const delayMinutes = z.int32().min(0);
export const timeToLiveMinutes = z.int32().min(1);

/** Steps in order; positions count from 1. */
export const stepsOf = <Step extends z.ZodType>(step: Step) => z.array(step).min(1, "must contain at least one step");

/** Null by default. For a time to live, null means that the touch never expires. */
export const orNull = <Type extends z.ZodType>(type: Type) => type.nullable().default(null);

/** A sequence and its steps. `faultsOfSteps` finds what a schema cannot. */
export const writtenSequence = z.strictObject({
  ...sequenceFields,
  steps: stepsOf(z.strictObject({ ...stepFields, delayMinutes, timeToLiveMinutes: orNull(timeToLiveMinutes) })),
});
const sequenceSchema = z.strictObject({ workspaceId: z.guid(), ...writtenSequence.shape });

/** A sequence as a person writes it. */
export type SequenceToSave = z.input<typeof sequenceSchema>;

/** Nothing was written. `faults` lists every problem with its step and field. */
export class SequenceRefused extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`the sequence was not saved:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}

/** Throws SequenceRefused. */
export function parseSequenceToSave(sequence: unknown): z.output<typeof sequenceSchema> {
  const parsed = sequenceSchema.safeParse(sequence);
  const faults = [...(parsed.error?.issues ?? []), ...faultsOfSteps(sequence)];
  if (faults.length > 0 || !parsed.success) throw new SequenceRefused(faults.map(faultText));
  return parsed.data;
}

interface SequenceFault {
  /** The path from the sequence to the fault, for example `steps`, 0, `body`. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Formats a fault with its step, counted from 1, and its field. */
export function faultText({ path, message }: SequenceFault): string {
  const [first, index, ...rest] = path;
  if (first === "steps" && typeof index === "number") return `${[`step ${index + 1}`, ...rest].join(", ")}: ${message}`;
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

const steps = z.object({ steps: z.array(z.unknown()) }).catch({ steps: [] });
const texts = z.object({ ...textFields, allow: textFields.allow.catch([]) });
const keyed = z.object({ key });

/** Lints each step whose texts parse and finds duplicate keys, even if the rest of the sequence is invalid. */
export function faultsOfSteps(sequence: unknown): readonly SequenceFault[] {
  const keys = new Map<string, number>();
  return steps.parse(sequence).steps.flatMap((step, index): SequenceFault[] => {
    const read = texts.safeParse(step);
    const linted = read.success ? lintStep(read.data) : [];
    const faults = linted.map(({ part, message }) => ({ path: ["steps", index, part], message }));
    const named = keyed.safeParse(step).data?.key;
    const other = named && keys.get(named);
    if (named && other === undefined) keys.set(named, index);
    if (other === undefined || named === undefined) return faults;
    return [...faults, { path: ["steps", index, "key"], message: `repeats the key of step ${Number(other) + 1}` }];
  });
}
