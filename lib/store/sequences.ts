import { isDeepStrictEqual } from "node:util";
import type { WrittenSequence } from "../domain/written-sequence.ts";
import type { Db } from "./connect.ts";
import { parseSequenceToSave, SequenceRefused } from "./sequence-to-save.ts";
import { changesTrigger, planSequences, type SequencePlan } from "./stored-sequences.ts";

export interface SavedSequence {
  readonly id: string;
  /** Grows when steps come, go, change places or delays. */
  readonly version: number;
  /** The ids of the steps of that version, in their order. */
  readonly stepIds: readonly string[];
}

/**
 * Writes a sequence with its steps, whole or not at all. A name that its workspace has already is that sequence again; what
 * becomes of those who are inside is told at `saveSequences`. Throws SequenceRefused.
 */
export async function saveSequence(db: Db, sequence: unknown): Promise<SavedSequence> {
  const { workspaceId, ...written } = parseSequenceToSave(sequence);
  const [saved] = await saveSequences(db, workspaceId, [written]);
  if (!saved) throw new Error("a sequence was neither saved nor refused");
  return saved;
}

/**
 * Writes parsed sequences of one workspace, all or none. What is written already is not written again.
 *
 * Leads who are inside keep the steps, the order and the delays that they started with, so that nobody skips or repeats a
 * step: a change of those makes a new version, for who starts from now on. What a step says, its channel, condition, approval
 * and time to live change for everybody who still has that step ahead. The trigger stays while anybody is inside.
 *
 * `seen` is what a person saw and agreed to; what somebody else has changed since then is refused. Throws SequenceRefused.
 */
export async function saveSequences(
  db: Db,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
  seen?: readonly SequencePlan[],
): Promise<readonly SavedSequence[]> {
  return await db.$transaction(async (transaction) => {
    await lockSequences(transaction, workspaceId, sequences);
    const plans = await planSequences(transaction, workspaceId, sequences);
    const faults = plans.flatMap((plan, index) => conflicts(plan, seen?.[index]));
    if (faults.length > 0) throw new SequenceRefused(faults);
    const saved: SavedSequence[] = [];
    for (const plan of plans) saved.push(await write(transaction, workspaceId, plan));
    return saved;
  }, PATIENT);
}

/** Another writer of the same sequences is waited for. */
const PATIENT = { timeout: 60_000 };

/**
 * The rows of the sequences, made where there are none, and locked, in one order for all: nobody enrols in them until the
 * transaction ends.
 */
async function lockSequences(db: Db, workspaceId: string, sequences: readonly WrittenSequence[]): Promise<void> {
  if ((await db.workspace.count({ where: { id: workspaceId } })) === 0) {
    throw new SequenceRefused([`workspaceId: there is no workspace ${workspaceId}`]);
  }
  const sorted = [...sequences].sort((one, other) => (one.name < other.name ? -1 : 1));
  await db.followUpSequence.createMany({
    data: sorted.map(({ name, triggerOn, active }) => ({ workspaceId, name, triggerOn, active })),
    skipDuplicates: true,
  });
  await db.$queryRaw`
    select from follow_up_sequence
     where workspace_id = ${workspaceId}::uuid and name = any(${sorted.map(({ name }) => name)}) order by id for update`;
}

function conflicts({ after, stored, inside, change }: SequencePlan, seen: SequencePlan | undefined): readonly string[] {
  if (change.isNone) return [];
  const faults: string[] = [];
  if (seen && !isDeepStrictEqual(seen.stored?.written, stored?.written)) {
    faults.push(`${after.name}: somebody else has changed it in the meantime; look at the changes again`);
  }
  if (changesTrigger({ after, stored }) && inside > 0) {
    faults.push(
      `triggerOn: cannot change from ${stored?.written?.triggerOn} while leads are in the sequence (${inside})`,
    );
  }
  return faults;
}

async function write(db: Db, workspaceId: string, { after, stored, change }: SequencePlan): Promise<SavedSequence> {
  if (!stored) throw new Error("a sequence that was locked is gone");
  const { id } = stored;
  // The first steps of a sequence are those of the version that it has from its beginning.
  const version = change.needsNewVersion && stored.written ? stored.version + 1 : stored.version;
  const { triggerOn, active, steps } = after;
  if (!change.isNone) {
    await db.followUpSequence.update({ where: { id }, data: { triggerOn, active, version } });
    await rewrite(db, id, after);
  }
  if (change.needsNewVersion) {
    const place = { workspaceId, sequenceId: id, version };
    await db.followUpStep.createMany({
      data: steps.map((step, index) => ({ ...place, position: index + 1, ...step })),
    });
  }
  const select = { id: true };
  const stepRows = await db.followUpStep.findMany({
    where: { sequenceId: id, version },
    orderBy: { position: "asc" },
    select,
  });
  return { id, version, stepIds: stepRows.map((step) => step.id) };
}

/** Gives the steps of all versions what is written at their keys, but for their places and delays. */
async function rewrite(db: Db, sequenceId: string, { steps }: WrittenSequence): Promise<void> {
  await db.$executeRaw`
    update follow_up_step as step
       set channel = written.channel::channel, subject = written.subject, body = written.body,
           condition = written.condition::step_condition, needs_approval = written.needs_approval,
           time_to_live_minutes = written.time_to_live_minutes
      from unnest(
        ${steps.map(({ key }) => key)}::text[], ${steps.map(({ channel }) => channel)}::text[],
        ${steps.map(({ subject }) => subject)}::text[], ${steps.map(({ body }) => body)}::text[],
        ${steps.map(({ condition }) => condition)}::text[], ${steps.map(({ needsApproval }) => needsApproval)}::boolean[],
        ${steps.map(({ timeToLiveMinutes }) => timeToLiveMinutes)}::int[]
      ) as written (key, channel, subject, body, condition, needs_approval, time_to_live_minutes)
     where step.sequence_id = ${sequenceId}::uuid and step.key = written.key
       and (step.channel::text, step.subject, step.body, step.condition::text, step.needs_approval, step.time_to_live_minutes)
         is distinct from (written.channel, written.subject, written.body, written.condition, written.needs_approval,
                           written.time_to_live_minutes)`;
}
