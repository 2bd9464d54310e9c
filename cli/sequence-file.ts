import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  parseDocument,
  stringify,
  visit,
} from "yaml";
import * as z from "zod";
import type { WrittenSequence, WrittenStep } from "../lib/domain/written-sequence.ts";
import {
  delayMinutes,
  faultsOfSteps,
  inWords,
  orNull,
  type SequenceFault,
  sequenceFields,
  stepFields,
  stepsOf,
  timeToLiveMinutes,
} from "../lib/store/sequence-to-save.ts";
import { duration, durationInWords } from "./duration.ts";

const stepSchema = z
  .strictObject({
    ...stepFields,
    delay: duration.pipe(delayMinutes),
    timeToLive: orNull(duration.pipe(timeToLiveMinutes)),
  })
  .transform(
    ({ delay, timeToLive, ...step }): WrittenStep => ({ ...step, delayMinutes: delay, timeToLiveMinutes: timeToLive }),
  );
const sequenceSchema = z.strictObject({ ...sequenceFields, steps: stepsOf(stepSchema) });

export interface PlacedFault {
  /** Counts from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export type ParsedSequenceFile =
  | { readonly sequence: WrittenSequence }
  /** All faults, in the order of their positions. */
  | { readonly faults: readonly PlacedFault[] };

/** Parses a sequence from YAML. */
export function parseSequenceFile(text: string): ParsedSequenceFile {
  const counter = new LineCounter();
  const placed = (offset: number, message: string): PlacedFault => {
    const { line, col } = counter.linePos(offset);
    return { line, column: col, message };
  };
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, stringKeys: true });
  const unreadable = [...yamlFaults(document)].map(([offset, message]) => placed(offset, message));
  if (unreadable.length > 0) return { faults: unreadable };
  const value: unknown = document.toJS();
  const parsed = sequenceSchema.safeParse(value);
  const faults = [...(parsed.error?.issues.flatMap(faultsOfIssue) ?? []), ...faultsOfSteps(value)];
  if (faults.length === 0 && parsed.success) return { sequence: parsed.data };
  const told = faults.map((fault) => placed(offsetOf(document, fault.path), inWords(fault)));
  return { faults: told.sort((one, other) => one.line - other.line || one.column - other.column) };
}

/** Messages by offset: the first YAML error, and all anchors and aliases, which could expand without limit. */
function yamlFaults(document: Document.Parsed): ReadonlyMap<number, string> {
  // Later parser errors mostly follow from the first.
  const first = [...document.errors, ...document.warnings].slice(0, 1);
  const faults = new Map(first.map(({ pos, code, message }) => [pos[0], `${message}${ADVICE[code] ?? ""}`]));
  visit(document, {
    Node(_, node) {
      if (isAlias(node) || node.anchor) faults.set(node.range?.[0] ?? 0, "anchors and aliases are not taken");
    },
  });
  return faults;
}

const QUOTES =
  '. A text on one line that holds ": " or begins with "{{" needs quotes around it; after "body: |" none does';
const ADVICE: Partial<Record<ErrorCode, string>> = {
  BLOCK_AS_IMPLICIT_KEY: QUOTES,
  NON_STRING_KEY: QUOTES,
  RESOURCE_EXHAUSTION: ": it is nested too deeply",
};

/** Splits unknown keys into one fault each, with its own position. */
function faultsOfIssue(issue: z.core.$ZodIssue): readonly SequenceFault[] {
  if (issue.code !== "unrecognized_keys") return [issue];
  return issue.keys.map((key) => ({ path: [...issue.path, key], message: "there is no such key" }));
}

/** The offset of this path, or of its nearest existing parent. A value has the offset of its key. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent = document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === last) : undefined;
    const node = pair?.key ?? document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range[0] ?? 0;
}

/** The YAML that parses to this sequence. Omits fields that have their default. */
export function writeSequenceFile({ name, triggerOn, active, steps }: WrittenSequence): string {
  const head = { name, triggerOn, ...(active ? {} : { active }) };
  return stringify({ ...head, steps: steps.map(fileStep) }, { lineWidth: 0, blockQuote: "literal" });
}

const fileStep = (step: WrittenStep) => ({
  key: step.key,
  delay: durationInWords(step.delayMinutes),
  channel: step.channel,
  ...(step.condition === "always" ? {} : { condition: step.condition }),
  ...(step.needsApproval ? { needsApproval: true } : {}),
  ...(step.timeToLiveMinutes === null ? {} : { timeToLive: durationInWords(step.timeToLiveMinutes) }),
  ...(step.subject === null ? {} : { subject: step.subject }),
  body: step.body,
});
