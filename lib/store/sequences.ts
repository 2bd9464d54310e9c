import * as z from "zod";
import { CHANNELS, SEQUENCE_TRIGGERS, STEP_CONDITIONS } from "../domain/labels.ts";
import { lintStep } from "../domain/lint-step.ts";
import type { Db } from "./connect.ts";

/** A label of a closed set; any other is refused by its name. */
const label = <const Labels extends readonly [string, ...string[]]>(what: string, labels: Labels) =>
  z.enum(labels, {
    error: ({ input }) => `there is no ${what} ${JSON.stringify(input)}; known are ${labels.join(", ")}`,
  });

const texts = z.object({
  channel: label("channel", CHANNELS),
  subject: z.string().nullable().default(null),
  body: z.string(),
});

const stepSchema = z.strictObject({
  ...texts.shape,
  /** After the step before it; after the start for the first. */
  delayMinutes: z.int32().min(0),
  condition: label("condition", STEP_CONDITIONS).default("always"),
  needsApproval: z.boolean().default(false),
  /** Null: it may be sent however late. */
  timeToLiveMinutes: z.int32().min(1).nullable().default(null),
});

const sequenceSchema = z.strictObject({
  workspaceId: z.uuid(),
  name: z.string().regex(/^\P{Cc}*[^\s\p{Cc}]\P{Cc}*$/u, "must be a name, on one line"),
  triggerOn: label("trigger", SEQUENCE_TRIGGERS),
  active: z.boolean().default(true),
  /** In their order, which gives them their positions, counted from 1. */
  steps: z.array(stepSchema).min(1, "must hold at least one step"),
});

/** A sequence as a person writes it. */
export type SequenceToSave = z.input<typeof sequenceSchema>;
type ParsedSequence = z.output<typeof sequenceSchema>;

/** Nothing was written. `faults` holds all that is wrong, each with the step and the part that it is about. */
export class SequenceRefused extends Error {
  override readonly name = "SequenceRefused";
  readonly faults: readonly string[];
  constructor(faults: readonly string[]) {
    super(`the sequence was not saved:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}

export interface SavedSequence {
  readonly id: string;
  /** The ids of its steps, in their order. */
  readonly stepIds: readonly string[];
}

/**
 * Writes a sequence with its steps, whole or not at all. A name that its workspace has already is that sequence again: the
 * steps at the same positions are replaced, so that they stay the same steps to those who passed them. While anybody is in
 * it, no step may go or change its place, and its trigger stays. Throws SequenceRefused.
 */
export async function saveSequence(db: Db, sequence: unknown): Promise<SavedSequence> {
  const parsed = parseSequenceToSave(sequence);
  return await db.$transaction(async (transaction) => {
    const found = await lockSequence(transaction, parsed);
    const faults = await conflicts(transaction, found, parsed);
    if (faults.length > 0) throw new SequenceRefused(faults);
    return await write(transaction, found.id, parsed);
  });
}

/** Faults of form and of the texts, told together. */
function parseSequenceToSave(sequence: unknown): ParsedSequence {
  const parsed = sequenceSchema.safeParse(sequence);
  const faults = [...(parsed.error?.issues.map(told) ?? []), ...textFaults(sequence)];
  if (faults.length > 0 || !parsed.success) throw new SequenceRefused(faults);
  return parsed.data;
}

function told({ path, message }: z.core.$ZodIssue): string {
  const [first, index, ...rest] = path;
  if (first === "steps" && typeof index === "number") return `${[`step ${index + 1}`, ...rest].join(", ")}: ${message}`;
  return path.length === 0 ? message : `${path.join(".")}: ${message}`;
}

/** Lints each step whose texts can be read, whatever else is wrong with the sequence. */
function textFaults(sequence: unknown): string[] {
  const { steps } = z
    .object({ steps: z.array(z.unknown()) })
    .catch({ steps: [] })
    .parse(sequence);
  return steps.flatMap((step, index) => {
    const read = texts.safeParse(step);
    return read.success ? lintStep(read.data).map(({ part, message }) => `step ${index + 1}, ${part}: ${message}`) : [];
  });
}

interface Found {
  readonly id: string;
  readonly triggerOn: string;
}

/** The row of the sequence, made where there is none, and locked: nobody enrols in it until the transaction ends. */
async function lockSequence(db: Db, { workspaceId, name, triggerOn, active }: ParsedSequence): Promise<Found> {
  if ((await db.workspace.count({ where: { id: workspaceId } })) === 0) {
    throw new SequenceRefused([`workspaceId: there is no workspace ${workspaceId}`]);
  }
  await db.followUpSequence.createMany({ data: { workspaceId, name, triggerOn, active }, skipDuplicates: true });
  const rows = await db.$queryRaw`
    select id, trigger_on::text as "triggerOn" from follow_up_sequence
     where workspace_id = ${workspaceId}::uuid and name = ${name} for update`;
  return z.tuple([z.object({ id: z.uuid(), triggerOn: z.string() })]).parse(rows)[0];
}

/** What the change would do to those who are in the sequence, or to what was sent. */
async function conflicts(db: Db, { id, triggerOn }: Found, sequence: ParsedSequence): Promise<string[]> {
  const steps = await db.followUpStep.findMany({
    where: { sequenceId: id },
    include: { _count: { select: { touches: true } } },
    orderBy: { position: "asc" },
  });
  const removed = steps.filter(({ position }) => position > sequence.steps.length);
  const faults = removed
    .filter(({ _count }) => _count.touches > 0)
    .map(({ position }) => `step ${position}: cannot be removed, for there are touches of it`);
  const live = await db.followUpInstance.count({ where: { sequenceId: id, status: { in: ["active", "paused"] } } });
  if (live === 0) return faults;
  const because = `while leads are in the sequence (${live})`;
  if (triggerOn !== sequence.triggerOn) faults.push(`triggerOn: cannot change from ${triggerOn} ${because}`);
  faults.push(...removed.map(({ position }) => `step ${position}: cannot be removed ${because}`));
  for (const [index, step] of sequence.steps.entries()) {
    const places = steps.filter((one) => isSameText(one, step)).map(({ position }) => position);
    const [place] = places;
    if (place !== undefined && !places.includes(index + 1)) {
      faults.push(`step ${place}: cannot become step ${index + 1} ${because}`);
    }
  }
  return faults;
}

type Texts = z.infer<typeof texts>;
const isSameText = (one: Texts, other: Texts): boolean =>
  one.channel === other.channel && one.subject === other.subject && one.body === other.body;

async function write(db: Db, id: string, sequence: ParsedSequence): Promise<SavedSequence> {
  const { workspaceId, triggerOn, active, steps } = sequence;
  await db.followUpSequence.update({ where: { id }, data: { triggerOn, active } });
  await db.followUpStep.deleteMany({ where: { sequenceId: id, position: { gt: steps.length } } });
  const stepIds: string[] = [];
  for (const [index, step] of steps.entries()) {
    const place = { sequenceId: id, position: index + 1 };
    const saved = await db.followUpStep.upsert({
      where: { sequenceId_position: place },
      create: { workspaceId, ...place, ...step },
      update: step,
      select: { id: true },
    });
    stepIds.push(saved.id);
  }
  return { id, stepIds };
}
