import {
  type LenientSequence,
  type LenientStep,
  type SequenceChange,
  STEP_FIELDS,
  type StepChange,
  type WrittenSequence,
  type WrittenStep,
} from "../lib/domain/written-sequence.ts";
import { formatDuration } from "./duration.ts";

/** The effect of applying a file. */
interface ShownPlan {
  readonly before: LenientSequence | null;
  readonly after: WrittenSequence;
  readonly change: SequenceChange;
  /** The latest version; 0 if the sequence is new. */
  readonly version: number;
  /** Number of leads in the sequence. */
  readonly inside: number;
}

/** Describes the changes to a sequence; one line if there are none. */
export function describeChanges({ before, after, version, change, inside }: ShownPlan): string {
  if (change.isNone) return `${after.name}: no change`;
  const lines = [...headLines(before ?? undefined, after), ...change.steps.flatMap((step) => stepLines(step, after))];
  return [`${after.name}: ${summary()}`, ...lines.map((line) => `  ${line}`)].join("\n");

  function summary(): string {
    if (!before) return `new, with ${after.steps.length} steps`;
    if (!change.needsNewVersion) return "changes for all leads that have not reached these steps";
    const finish =
      inside === 0 ? "no leads in progress" : `leads in progress (${inside}) finish the version that they started`;
    return `version ${version + 1}; ${finish}`;
  }
}

const headLines = (before: LenientSequence | undefined, after: WrittenSequence): readonly string[] =>
  (["triggerOn", "active"] as const)
    .filter((field) => before?.[field] !== after[field])
    .flatMap((field) => fieldLines(field, before?.[field], after[field]));

function stepLines(change: StepChange, { steps }: WrittenSequence): readonly string[] {
  switch (change.kind) {
    case "kept":
      return [];
    case "removed":
      return [`- step ${change.before.key}`];
    case "added":
      return [`+ step ${placeOf(change.step)}`, ...newLines(change.step)];
    case "changed": {
      const moved = change.moved ? ", moved" : "";
      return [`~ step ${placeOf(change.step)}${moved}`, ...valueLines(change.before, change.step)];
    }
  }

  function placeOf(step: WrittenStep): string {
    return `${steps.indexOf(step) + 1}, ${step.key}`;
  }
}

/** The defaults of a step's optional fields, which are not shown. */
const UNWRITTEN: Partial<LenientStep> = { condition: "always", needsApproval: false };

/** The values of a new step that are not defaults. */
const newLines = (step: WrittenStep): readonly string[] =>
  valueLines(
    {},
    step,
    STEP_FIELDS.filter((field) => value(UNWRITTEN, field) !== value(step, field)),
  );

const valueLines = (
  before: Partial<LenientStep>,
  after: WrittenStep,
  fields: readonly (typeof STEP_FIELDS)[number][] = STEP_FIELDS,
): readonly string[] =>
  fields
    .filter((field) => value(before, field) !== value(after, field))
    .flatMap((field) => fieldLines(NAMES[field] ?? field, value(before, field), value(after, field)))
    .map((line) => `    ${line}`);

/** The names of fields in the files. */
const NAMES: Readonly<Record<string, string>> = { delayMinutes: "delay", timeToLiveMinutes: "timeToLive" };

function value(step: Partial<LenientStep>, field: (typeof STEP_FIELDS)[number]): string | boolean | undefined {
  const found = step[field] ?? undefined;
  if (typeof found === "object") return found.length > 0 ? found.join(", ") : undefined;
  return typeof found === "number" ? formatDuration(found) : found;
}

/** The changed lines of a value, without the common lines at the beginning and the end. Undefined has no lines. */
export function fieldLines(name: string, before: unknown, after: unknown): readonly string[] {
  const old = before === undefined ? [] : String(before).split("\n");
  const now = after === undefined ? [] : String(after).split("\n");
  const start = commonLength(old, now);
  const end = commonLength(old.slice(start).reverse(), now.slice(start).reverse());
  const cut = (lines: readonly string[]) => lines.slice(start, lines.length - end);
  return [...cut(old).map((line) => `- ${name}: ${line}`), ...cut(now).map((line) => `+ ${name}: ${line}`)];
}

function commonLength(one: readonly string[], other: readonly string[]): number {
  const differs = one.findIndex((line, index) => line !== other[index]);
  return differs === -1 ? Math.min(one.length, other.length) : differs;
}
