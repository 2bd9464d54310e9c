import { isDeepStrictEqual } from "node:util";
import { changeOf, type SequenceChange, type WrittenSequence, type WrittenStep } from "../domain/written-sequence.ts";
import type { Db } from "./connect.ts";
import { parseSequenceToSave, SequenceRefused } from "./sequence-to-save.ts";
import { execute } from "./sql.ts";

export interface SavedSequence {
  readonly id: string;
  /** Incremented when steps are added, removed or reordered, or change their delay. */
  readonly version: number;
  /** The ids of that version's steps, in order. */
  readonly stepIds: readonly string[];
}

/**
 * Upserts a sequence with its steps, by name and atomically. See `saveSequences` for the effect on enrolled leads.
 * Throws SequenceRefused.
 */
export async function saveSequence(db: Db, sequence: unknown): Promise<SavedSequence> {
  const { workspaceId, ...written } = parseSequenceToSave(sequence);
  const [saved] = await saveSequences(db, workspaceId, [written]);
  if (!saved) throw new Error("a sequence was not saved");
  return saved;
}

/**
 * Upserts parsed sequences of one workspace, all or none. Does not write unchanged ones.
 *
 * Enrolled leads keep the steps, order and delays that they started with, so that no lead skips or repeats a step:
 * changing those makes a new version for later enrolments. A step's text, channel, condition, approval and time to live
 * change for every lead that has the step ahead. The trigger cannot change while leads are enrolled.
 *
 * `seen` is the plan that a person agreed to; refuses sequences that changed since. Throws SequenceRefused.
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

/** Long enough to wait for another writer of the same sequences. */
const PATIENT = { timeout: 60_000 };

/**
 * Creates missing sequences and locks all of them, in a fixed order. Enrolments in them wait until the transaction
 * ends.
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
  await execute(db)`
    select from follow_up_sequence
     where workspace_id = ${workspaceId}::uuid and name = any(${sorted.map(({ name }) => name)}) order by id for update`;
}

function conflicts({ after, stored, inside, change }: SequencePlan, seen: SequencePlan | undefined): readonly string[] {
  if (change.isNone) return [];
  const faults: string[] = [];
  if (seen && !isDeepStrictEqual(seen.stored?.written, stored?.written)) {
    faults.push(`${after.name}: changed since you reviewed it; review the changes again`);
  }
  if (changesTrigger({ after, stored }) && inside > 0) {
    faults.push(
      `triggerOn: cannot change from ${stored?.written?.triggerOn} while leads are in the sequence (${inside})`,
    );
  }
  return faults;
}

async function write(db: Db, workspaceId: string, { after, stored, change }: SequencePlan): Promise<SavedSequence> {
  if (!stored) throw new Error("a locked sequence is missing");
  const { id } = stored;
  // A new sequence gets its first steps in its initial version.
  const version = change.needsNewVersion && stored.written ? stored.version + 1 : stored.version;
  const { triggerOn, active, steps } = after;
  if (!change.isNone) {
    await db.followUpSequence.update({ where: { id }, data: { triggerOn, active, version } });
    await rewrite(db, id, after);
  }
  if (change.needsNewVersion) {
    const place = { workspaceId, sequenceId: id, version };
    await db.followUpStep.createMany({
      data: steps.map((step, index) => ({ ...place, position: index + 1, ...step, allow: [...step.allow] })),
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

/** Updates the steps of all versions by key, except for their positions and delays. */
async function rewrite(db: Db, sequenceId: string, { steps }: WrittenSequence): Promise<void> {
  await execute(db)`
    update follow_up_step as step
       set channel = written.channel::channel, subject = written.subject, body = written.body,
           condition = written.condition::step_condition, needs_approval = written.needs_approval,
           time_to_live_minutes = written.time_to_live_minutes,
           allowed_placeholders = string_to_array(written.allow, ',')::placeholder_kind[]
      from unnest(
        ${steps.map(({ key }) => key)}::text[], ${steps.map(({ channel }) => channel)}::text[],
        ${steps.map(({ subject }) => subject)}::text[], ${steps.map(({ body }) => body)}::text[],
        ${steps.map(({ condition }) => condition)}::text[], ${steps.map(({ needsApproval }) => needsApproval)}::boolean[],
        ${steps.map(({ timeToLiveMinutes }) => timeToLiveMinutes)}::int[],
        ${steps.map(({ allow }) => allow.join())}::text[]
      ) as written (key, channel, subject, body, condition, needs_approval, time_to_live_minutes, allow)
     where step.sequence_id = ${sequenceId}::uuid and step.key = written.key
       and (step.channel::text, step.subject, step.body, step.condition::text, step.needs_approval, step.time_to_live_minutes,
            step.allowed_placeholders)
         is distinct from (written.channel, written.subject, written.body, written.condition, written.needs_approval,
                           written.time_to_live_minutes, string_to_array(written.allow, ',')::placeholder_kind[])`;
}

/** The latest version of a stored sequence. */
interface StoredSequence {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  /** Undefined if it has no steps. */
  readonly written: WrittenSequence | undefined;
}

/** The sequences of a workspace with these names, or all, sorted by name. */
export async function findStoredSequences(
  db: Db,
  workspaceId: string,
  names?: readonly string[],
): Promise<readonly StoredSequence[]> {
  const sequences = await db.followUpSequence.findMany({
    where: { workspaceId, ...(names && { name: { in: [...names] } }) },
    orderBy: { name: "asc" },
  });
  const steps = await db.followUpStep.findMany({
    where: { workspaceId, OR: sequences.map(({ id, version }) => ({ sequenceId: id, version })) },
    orderBy: { position: "asc" },
  });
  const bySequence = Map.groupBy(steps, ({ sequenceId }) => sequenceId);
  return sequences.map(({ id, version, name, triggerOn, active }) => {
    const own = bySequence.get(id)?.map(writtenStep);
    return { id, name, version, written: own && { name, triggerOn, active, steps: own } };
  });
}

const writtenStep = (step: WrittenStep): WrittenStep => ({
  key: step.key,
  delayMinutes: step.delayMinutes,
  channel: step.channel,
  subject: step.subject,
  body: step.body,
  allow: step.allow,
  condition: step.condition,
  needsApproval: step.needsApproval,
  timeToLiveMinutes: step.timeToLiveMinutes,
});

/** The effect of saving `after`. */
export interface SequencePlan {
  readonly after: WrittenSequence;
  readonly stored: StoredSequence | undefined;
  readonly change: SequenceChange;
  /** Number of live instances; counted only if the change depends on it, else 0. */
  readonly inside: number;
}

export async function planSequences(
  db: Db,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
): Promise<readonly SequencePlan[]> {
  const names = sequences.map(({ name }) => name);
  const found = new Map((await findStoredSequences(db, workspaceId, names)).map((stored) => [stored.name, stored]));
  const plans = sequences.map((after) => {
    const stored = found.get(after.name);
    return { after, stored, change: changeOf(stored?.written, after) };
  });
  const inside = await countInside(
    db,
    plans.filter(matters).flatMap(({ stored }) => stored?.id ?? []),
  );
  return plans.map((plan) => ({ ...plan, inside: inside.get(plan.stored?.id ?? "") ?? 0 }));
}

type Compared = Omit<SequencePlan, "inside">;
const matters = ({ change, stored, after }: Compared): boolean =>
  change.needsNewVersion || changesTrigger({ stored, after });

const changesTrigger = ({ stored, after }: Pick<Compared, "stored" | "after">): boolean =>
  stored?.written !== undefined && stored.written.triggerOn !== after.triggerOn;

async function countInside(db: Db, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (ids.length === 0) return new Map();
  const counts = await db.followUpInstance.groupBy({
    by: ["sequenceId"],
    where: { sequenceId: { in: [...ids] }, status: { in: ["active", "paused"] } },
    _count: true,
  });
  return new Map(counts.map(({ sequenceId, _count }) => [sequenceId, _count]));
}
