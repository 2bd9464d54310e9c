import { stringify } from "yaml";
import * as z from "zod";
import type { LenientSequence, LenientStep, WrittenSequence, WrittenStep } from "../lib/domain/written-sequence.ts";
import {
  delayMinutes,
  faultsOfSteps,
  faultText,
  orNull,
  sequenceFields,
  stepFields,
  stepsOf,
  timeToLiveMinutes,
} from "../lib/store/sequence-to-save.ts";
import { duration, formatDuration } from "./duration.ts";
import { Problem } from "./problem.ts";
import { showProgress } from "./terminal.ts";
import { faultsOfIssue, type PlacedFault, parseYaml, readTextFile } from "./yaml-file.ts";

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

type ParsedSequenceFile =
  | { readonly sequence: WrittenSequence }
  /** All faults, in the order of their positions. */
  | { readonly faults: readonly PlacedFault[] };

/** Parses a sequence from YAML. */
export function parseSequenceFile(text: string): ParsedSequenceFile {
  const file = parseYaml(text);
  if ("faults" in file) return file;
  const parsed = sequenceSchema.safeParse(file.value);
  const faults = [...(parsed.error?.issues.flatMap(faultsOfIssue) ?? []), ...faultsOfSteps(file.value)];
  if (faults.length === 0 && parsed.success) return { sequence: parsed.data };
  return { faults: file.placed(faults, faultText) };
}

/** The YAML that parses to this sequence, unless only newer code knows a label of it. Omits fields that have their default. */
export function writeSequenceFile({ name, triggerOn, active, steps }: LenientSequence): string {
  const head = { name, triggerOn, ...(active ? {} : { active }) };
  return stringify(
    { ...head, steps: steps.map(fileStep) },
    { lineWidth: 0, blockQuote: "literal", aliasDuplicateObjects: false },
  );
}

const fileStep = (step: LenientStep) => ({
  key: step.key,
  delay: formatDuration(step.delayMinutes),
  channel: step.channel,
  ...(step.condition === "always" ? {} : { condition: step.condition }),
  ...(step.needsApproval ? { needsApproval: true } : {}),
  ...(step.timeToLiveMinutes === null ? {} : { timeToLive: formatDuration(step.timeToLiveMinutes) }),
  ...(step.allow.length > 0 ? { allow: step.allow } : {}),
  ...(step.subject === null ? {} : { subject: step.subject }),
  body: step.body,
});

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

/** Shows all faults of the files on standard error. Returns the error for the command: nothing was `done`. */
export function invalidFiles(faults: readonly string[], done: "applied" | "shown", advice = ""): Problem {
  for (const fault of faults) showProgress(fault);
  return new Problem(`nothing was ${done}: correct the ${faults.length} errors above and try again${advice}`);
}

interface SequenceFile {
  readonly path: string;
  readonly sequence?: WrittenSequence;
  readonly faults: readonly string[];
}

async function readSequenceFile(path: string): Promise<SequenceFile> {
  const text = await readTextFile(path);
  if (typeof text !== "string") return { path, faults: [`${path}:1:1: ${text.fault}`] };
  const parsed = parseSequenceFile(text);
  if ("sequence" in parsed) return { path, sequence: parsed.sequence, faults: [] };
  return { path, faults: parsed.faults.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`) };
}
