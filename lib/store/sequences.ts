import * as z from "zod";
import { changeOf, type SequenceChange, type WrittenSequence, type WrittenStep } from "../domain/written-sequence.ts";
import type { Db } from "./connect.ts";
import { addFieldNames, unknownFieldsOf } from "./lead-fields.ts";
import { parseSequenceToSave, SequenceRefused } from "./sequence-to-save.ts";
import { execute, exists, many, type Queryable, sql } from "./sql.ts";
import { findStoredSequences, fingerprintOf, type StoredSequence } from "./stored-sequences.ts";

export interface SavedSequence {
  readonly id: string;
  /** Incremented when steps are added, removed or reordered, or change their delay. */
  readonly version: number;
  /** The ids of that version's steps, in order. */
  readonly stepIds: readonly string[];
}

/**
 * Upserts a sequence with its steps, by name and atomically. See `upsertSequences` for the effect on enrolled leads.
 * Throws SequenceRefused.
 */
export async function saveSequence(db: Db, sequence: unknown): Promise<SavedSequence> {
  const { workspaceId, ...written } = parseSequenceToSave(sequence);
  const [saved] = await saveSequences(db, workspaceId, [written]);
  if (!saved) throw new Error("a sequence was not saved");
  return saved;
}

/** Upserts parsed sequences of one workspace in a transaction of their own. See `upsertSequences`. */
export const saveSequences = (
  db: Db,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
  seen?: readonly Seen[],
): Promise<readonly SavedSequence[]> =>
  db.$transaction((transaction) => upsertSequences(transaction, workspaceId, sequences, { seen }), PATIENT);

/** Long enough to wait for another writer of the same sequences. */
const PATIENT = { timeout: 60_000 };

/** A sequence as a person reviewed it. */
type Seen = Pick<SequencePlan, "fingerprint">;

interface Reviewed {
  readonly seen?: readonly Seen[] | undefined;
  /** Custom fields that no lead may have yet. */
  readonly newFields?: readonly string[];
}

/**
 * Upserts parsed sequences of one workspace, all or none: call it in a transaction. Does not write unchanged ones.
 *
 * Enrolled leads keep the steps, order and delays that they started with, so that none skips or repeats a step. A
 * change of those makes a new version for later enrolments. A step's text, channel, condition, approval and time to
 * live change for every lead that has the step ahead. The trigger cannot change while leads are enrolled.
 *
 * Refuses custom fields that the workspace does not have. `newFields` adds some first, after the sequences are locked:
 * the lock order of an enrolment. `seen` is the plan that a person agreed to, in the same order; refuses sequences
 * that changed since. Throws SequenceRefused.
 */
export async function upsertSequences(
  db: Queryable,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
  { seen, newFields = [] }: Reviewed = {},
): Promise<readonly SavedSequence[]> {
  await lockSequences(db, workspaceId, sequences);
  await addFieldNames(db, workspaceId, newFields);
  const plans = await planSequences(db, workspaceId, sequences);
  const faults = [
    ...plans.flatMap((plan, index) => conflicts(plan, seen?.[index])),
    ...(await unknownFieldsOf(db, workspaceId, sequences)),
  ];
  if (faults.length > 0) throw new SequenceRefused(faults);
  const saved: SavedSequence[] = [];
  for (const plan of plans) saved.push(await write(db, workspaceId, plan));
  return saved;
}

/**
 * Creates missing sequences and locks all of them, in a fixed order. Enrolments in them wait until the transaction
 * ends.
 */
async function lockSequences(db: Queryable, workspaceId: string, sequences: readonly WrittenSequence[]): Promise<void> {
  if (!(await exists(db)`select from workspace where id = ${workspaceId}::uuid`)) {
    throw new SequenceRefused([`workspaceId: there is no workspace ${workspaceId}`]);
  }
  const sorted = [...sequences].sort((one, other) => (one.name < other.name ? -1 : 1));
  const names = sorted.map(({ name }) => name);
  await execute(db)`
    insert into follow_up_sequence (workspace_id, name, trigger_on, active)
    select ${workspaceId}::uuid, name, trigger_on, active
      from unnest(${names}::text[], ${sorted.map(({ triggerOn }) => triggerOn)}::sequence_trigger[],
                  ${sorted.map(({ active }) => active)}::boolean[]) with ordinality as written (name, trigger_on, active, place)
     order by place
        on conflict (workspace_id, name) do nothing`;
  await execute(db)`
    select from follow_up_sequence
     where workspace_id = ${workspaceId}::uuid and name = any(${names}) order by id for update`;
}

/** Why the sequence cannot be saved; empty if it can. */
export function conflicts(
  { after, stored, inside, change, fingerprint }: SequencePlan,
  seen: Seen | undefined,
): string[] {
  if (change.isNone) return [];
  const faults: string[] = [];
  if (seen && seen.fingerprint !== fingerprint) {
    faults.push(`${after.name}: changed since you reviewed it; review the changes again`);
  }
  if (changesTrigger({ after, stored }) && inside > 0) {
    faults.push(
      `${after.name}: triggerOn: cannot change from ${stored?.written?.triggerOn} while leads are in the sequence (${inside})`,
    );
  }
  return faults;
}

async function write(
  db: Queryable,
  workspaceId: string,
  { after, stored, change }: SequencePlan,
): Promise<SavedSequence> {
  if (!stored) throw new Error("a locked sequence is missing");
  const { id } = stored;
  // A new sequence gets its first steps in its initial version.
  const version = change.needsNewVersion && stored.written ? stored.version + 1 : stored.version;
  if (!change.isNone) {
    await execute(db)`
      update follow_up_sequence
         set trigger_on = ${after.triggerOn}::sequence_trigger, active = ${after.active}, version = ${version}
       where id = ${id}::uuid`;
    await rewrite(db, id, after);
  }
  if (change.needsNewVersion) await addSteps(db, { workspaceId, sequenceId: id, version }, after.steps);
  const steps = await many(db, idRow)`
    select id from follow_up_step where sequence_id = ${id}::uuid and version = ${version} order by position`;
  return { id, version, stepIds: steps.map((step) => step.id) };
}

const idRow = z.object({ id: z.guid() });

interface VersionKey {
  readonly workspaceId: string;
  readonly sequenceId: string;
  readonly version: number;
}

async function addSteps(db: Queryable, key: VersionKey, steps: readonly WrittenStep[]): Promise<void> {
  await execute(db)`
    insert into follow_up_step (workspace_id, sequence_id, version, position, key, delay_minutes, channel, condition,
                                subject, body, allowed_placeholders, needs_approval, time_to_live_minutes)
    select ${key.workspaceId}::uuid, ${key.sequenceId}::uuid, ${key.version}, position, key, delay_minutes, channel,
           condition, subject, body, allowed_placeholders, needs_approval, time_to_live_minutes
      from ${rowsOf(steps)} as written`;
}

/** Updates the steps of all versions by key, except for their positions and delays. */
async function rewrite(db: Queryable, sequenceId: string, { steps }: WrittenSequence): Promise<void> {
  await execute(db)`
    update follow_up_step as step
       set channel = written.channel, subject = written.subject, body = written.body, condition = written.condition,
           needs_approval = written.needs_approval, time_to_live_minutes = written.time_to_live_minutes,
           allowed_placeholders = written.allowed_placeholders
      from ${rowsOf(steps)} as written
     where step.sequence_id = ${sequenceId}::uuid and step.key = written.key
       and (step.channel, step.subject, step.body, step.condition, step.needs_approval, step.time_to_live_minutes,
            step.allowed_placeholders)
         is distinct from (written.channel, written.subject, written.body, written.condition, written.needs_approval,
                           written.time_to_live_minutes, written.allowed_placeholders)`;
}

/** The steps as rows, with their positions. */
const rowsOf = (steps: readonly WrittenStep[]) => sql`
  (select key, delay_minutes, channel::channel, subject, body, condition::step_condition, needs_approval,
          time_to_live_minutes, string_to_array(allowed, ',')::placeholder_kind[] as allowed_placeholders, position
     from unnest(
       ${steps.map(({ key }) => key)}::text[], ${steps.map(({ delayMinutes }) => delayMinutes)}::int[],
       ${steps.map(({ channel }) => channel)}::text[], ${steps.map(({ subject }) => subject)}::text[],
       ${steps.map(({ body }) => body)}::text[], ${steps.map(({ condition }) => condition)}::text[],
       ${steps.map(({ needsApproval }) => needsApproval)}::boolean[],
       ${steps.map(({ timeToLiveMinutes }) => timeToLiveMinutes)}::int[], ${steps.map(({ allow }) => allow.join())}::text[]
     ) with ordinality as given (key, delay_minutes, channel, subject, body, condition, needs_approval,
                                 time_to_live_minutes, allowed, position))`;

/** The effect of saving `after`. */
export interface SequencePlan {
  readonly after: WrittenSequence;
  readonly stored: StoredSequence | undefined;
  readonly change: SequenceChange;
  /** Number of live instances; counted only if the change depends on it, else 0. */
  readonly inside: number;
  /** Identifies the stored sequence; null if it has no steps. */
  readonly fingerprint: string | null;
}

export async function planSequences(
  db: Queryable,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
): Promise<readonly SequencePlan[]> {
  const names = sequences.map(({ name }) => name);
  const found = new Map((await findStoredSequences(db, workspaceId, { names })).map((stored) => [stored.name, stored]));
  const plans = sequences.map((after) => {
    const stored = found.get(after.name);
    return { after, stored, change: changeOf(stored?.written, after) };
  });
  const inside = await countInside(
    db,
    plans.filter(matters).flatMap(({ stored }) => stored?.id ?? []),
  );
  return plans.map((plan) => ({
    ...plan,
    inside: inside.get(plan.stored?.id ?? "") ?? 0,
    fingerprint: fingerprintOf(plan.stored?.written),
  }));
}

type Compared = Omit<SequencePlan, "inside" | "fingerprint">;
const matters = ({ change, stored, after }: Compared): boolean =>
  change.needsNewVersion || changesTrigger({ stored, after });

const changesTrigger = ({ stored, after }: Pick<Compared, "stored" | "after">): boolean =>
  stored?.written !== undefined && stored.written.triggerOn !== after.triggerOn;

async function countInside(db: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (ids.length === 0) return new Map();
  const counts = await many(db, countRow)`
    select sequence_id as id, count(*)::int as inside from follow_up_instance
     where sequence_id = any(${ids}::uuid[]) and live group by sequence_id`;
  return new Map(counts.map(({ id, inside }) => [id, inside]));
}

const countRow = z.object({ id: z.guid(), inside: z.int() });
