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
  faultText,
  orNull,
  type SequenceFault,
  sequenceFields,
  stepFields,
  stepsOf,
  timeToLiveMinutes,
} from "../lib/store/sequence-to-save.ts";
import { openFile } from "./open-file.ts";

const MINUTES = { week: 7 * 24 * 60, day: 24 * 60, hour: 60, minute: 1 };
type Unit = keyof typeof MINUTES;

const PATTERN = /^(\d{1,9}) (minute|hour|day|week)s?$/;

/** Parses a duration such as `3 days`. Returns minutes. */
const duration = z
  .string()
  .regex(PATTERN, 'must be a duration such as "90 minutes", "4 hours", "3 days" or "2 weeks"')
  .transform((text) => {
    const [, count, unit] = PATTERN.exec(text) ?? [];
    return Number(count) * MINUTES[unit as Unit];
  });

/** Formats minutes in the largest unit that gives a whole number. */
export function formatDuration(minutes: number): string {
  const units = Object.entries(MINUTES);
  const [unit, size] = units.find(([, of]) => minutes !== 0 && minutes % of === 0) ?? ["minute", 1];
  const count = minutes / size;
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

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

interface PlacedFault {
  /** Counts from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

type ParsedSequenceFile =
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
  const placedFaults = faults.map((fault) => placed(offsetOf(document, fault.path), faultText(fault)));
  return { faults: placedFaults.sort((one, other) => one.line - other.line || one.column - other.column) };
}

/** Messages by offset: the first YAML error, and all anchors and aliases, which could expand without limit. */
function yamlFaults(document: Document.Parsed): ReadonlyMap<number, string> {
  // Later parser errors mostly follow from the first.
  const first = [...document.errors, ...document.warnings].slice(0, 1);
  const faults = new Map(first.map(({ pos, code, message }) => [pos[0], `${message}${ADVICE[code] ?? ""}`]));
  visit(document, {
    Node(_, node) {
      if (isAlias(node) || node.anchor) faults.set(node.range?.[0] ?? 0, "anchors and aliases are not allowed");
    },
  });
  return faults;
}

const QUOTES =
  '. A text on one line that contains ": " or starts with "{{" needs quotes; a text after "body: |" does not';
const ADVICE: Partial<Record<ErrorCode, string>> = {
  BLOCK_AS_IMPLICIT_KEY: QUOTES,
  NON_STRING_KEY: QUOTES,
  RESOURCE_EXHAUSTION: ": the file is nested too deeply",
};

/** Splits unknown keys into one fault each, with its own position. */
function faultsOfIssue(issue: z.core.$ZodIssue): readonly SequenceFault[] {
  if (issue.code !== "unrecognized_keys") return [issue];
  return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown key" }));
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
  delay: formatDuration(step.delayMinutes),
  channel: step.channel,
  ...(step.condition === "always" ? {} : { condition: step.condition }),
  ...(step.needsApproval ? { needsApproval: true } : {}),
  ...(step.timeToLiveMinutes === null ? {} : { timeToLive: formatDuration(step.timeToLiveMinutes) }),
  ...(step.subject === null ? {} : { subject: step.subject }),
  body: step.body,
});

/** Far above any real sequence. Larger files are not read. */
const MAX_BYTES = 256 * 1024;

interface SequenceFiles {
  readonly sequences: readonly WrittenSequence[];
  /** All faults of all files, each with its file, line and column. */
  readonly faults: readonly string[];
}

/** Reads all files, also if some are invalid or cannot be read. */
export async function readSequenceFiles(paths: readonly string[]): Promise<SequenceFiles> {
  const files = await Promise.all([...new Set(paths)].map(readSequenceFile));
  const named = Map.groupBy(
    files.filter((file) => file.sequence !== undefined),
    ({ sequence }) => sequence?.name,
  );
  const twice = [...named.values()].flatMap(([first, ...others]) =>
    others.map(({ path }) => `${path}:1:1: name: ${first?.path} has the same name`),
  );
  return {
    sequences: files.flatMap(({ sequence }) => sequence ?? []),
    faults: [...files.flatMap(({ faults }) => faults), ...twice],
  };
}

interface SequenceFile {
  readonly path: string;
  readonly sequence?: WrittenSequence;
  readonly faults: readonly string[];
}

async function readSequenceFile(path: string): Promise<SequenceFile> {
  const text = await readText(path);
  if (typeof text !== "string") return { path, faults: [`${path}:1:1: ${text.fault}`] };
  const parsed = parseSequenceFile(text);
  if ("sequence" in parsed) return { path, sequence: parsed.sequence, faults: [] };
  return { path, faults: parsed.faults.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`) };
}

async function readText(path: string): Promise<string | { readonly fault: string }> {
  const file = await openFile(path);
  if ("fault" in file) return { fault: `cannot be read: ${file.fault}` };
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) return { fault: `has ${size} bytes; the maximum is ${MAX_BYTES}` };
    return decoded(await file.readFile());
  } finally {
    await file.close();
  }
}

function decoded(bytes: Buffer): string | { readonly fault: string } {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { fault: "is not UTF-8 text" };
  }
}
