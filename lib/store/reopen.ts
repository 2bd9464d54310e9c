import * as z from "zod";
import { REPEATABLE_CHANNELS } from "../domain/labels.ts";
import { type GoingOn, goingOn, type PastTouch } from "../domain/next-state.ts";
import { zoneUsed } from "../domain/time-zone.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { CONTACT_BLOCK } from "./contact-rule.ts";
import { violates } from "./database-errors.ts";
import { type DueRow, parseDueRows, storedInstant } from "./rows.ts";
import { execute, many, type Queryable, sql, type Transactional } from "./sql.ts";
import { cancelUnsentTouches } from "./unsent-touches.ts";

interface Reopening {
  readonly instanceId: string;
  readonly reason: string;
  readonly by: string;
  readonly at: Date;
}

type ReopenAnswer =
  | ({ readonly outcome: "reopened"; readonly generation: number } & GoingOn)
  | { readonly outcome: "refused"; readonly reason: string };

/**
 * Reopens an ended instance in a new generation, and records who did it and why. It continues at the first step that
 * the stop prevented; steps that were sent, or may have been, are not repeated. Refuses if the instance has not ended
 * or no step is left. Refuses if the lead is booked, may not be contacted, or has a live instance of that sequence.
 * Runs in one transaction and locks the lead: a booking is either visible here, or commits later and is handled by the
 * backstop.
 */
export async function reopenInstance(db: Transactional, reopening: Reopening): Promise<ReopenAnswer> {
  try {
    return await db.transaction((transaction) => reopen(transaction, reopening));
  } catch (thrown) {
    // Rely on the unique index: a concurrent enrolment is not visible in the rows.
    if (violates(thrown, "one_live_instance_per_lead_and_sequence")) return notReopened("another_is_live");
    throw thrown;
  }
}

/** The lead's instance of the sequence: the live one, else the one that started last. Undefined if there was none. */
export async function findLatestInstance(
  db: Queryable,
  { leadId, sequenceId }: { readonly leadId: string; readonly sequenceId: string },
): Promise<string | undefined> {
  const [instance] = await many(db, z.object({ id: z.guid() }))`
    select id from follow_up_instance
     where lead_id = ${leadId}::uuid and sequence_id = ${sequenceId}::uuid
     order by live nulls last, started_at desc, id desc
     limit 1`;
  return instance?.id;
}

async function reopen(db: Queryable, reopening: Reopening): Promise<ReopenAnswer> {
  const { instanceId, at } = reopening;
  const found = await lockEnded(db, instanceId, at);
  if ("refused" in found) return notReopened(found.refused);
  const { dueRow, ended } = found;
  const [candidate] = await readCandidates(db, [dueRow], at);
  if (!candidate || "fault" in candidate.read) return notReopened("unreadable_row");
  const { read } = candidate;
  const { zone } = zoneUsed(read.item.lead, read.item.workspace);
  const touches = await readPast(db, dueRow, ended.completedReason);
  const instance = {
    sequence: read.item.sequence,
    position: dueRow.position,
    startedAt: ended.startedAt,
    touches,
    zone,
  };
  const onward = goingOn(instance, at);
  if (!onward) return notReopened("out_of_steps");
  await write(db, reopening, onward);
  return { outcome: "reopened", generation: dueRow.generation + 1, ...onward };
}

const notReopened = (reason: string): ReopenAnswer => ({ outcome: "refused", reason });

const endedRow = z.object({
  instanceStatus: z.string(),
  completedReason: z.string().nullable(),
  startedAt: storedInstant,
  barred: z.string().nullable(),
});

interface Ended {
  readonly dueRow: DueRow;
  readonly ended: z.infer<typeof endedRow>;
}

/** Locks the lead first: the lock order of every transaction that waits for several rows. */
async function lockEnded(db: Queryable, instanceId: string, now: Date): Promise<Ended | { readonly refused: string }> {
  await execute(db)`
    select from lead
     where (workspace_id, id) =
           (select workspace_id, lead_id from follow_up_instance where id = ${instanceId}::uuid)
       for no key update`;
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}, instance.status::text as "instanceStatus",
           instance.completed_reason as "completedReason", instance.started_at as "startedAt", ${CONTACT_BLOCK} as barred
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where instance.id = ${instanceId}::uuid
       for no key update of instance`;
  const [dueRow] = parseDueRows(rows);
  if (!dueRow) return { refused: "not_found" };
  const ended = endedRow.parse(dueRow.row);
  if (ended.instanceStatus === "active" || ended.instanceStatus === "paused") return { refused: "is_live" };
  return ended.barred ? { refused: ended.barred } : { dueRow, ended };
}

const pastRow = z.object({ position: z.int(), doneAt: storedInstant, stopped: z.boolean() });

/**
 * The touches since the sequence last started from its first step: this generation and, if it was reopened, those
 * before. A `stopped` touch may be made again: the stop cancelled it and it certainly never went out. On a repeatable
 * channel a touch with an attempt does not qualify: the attempt may have arrived, and the receiver would not recognise
 * another touch as the same. Unsent touches of an instance that completed its last step were not stopped.
 */
async function readPast(db: Queryable, row: DueRow, completedReason: string | null): Promise<readonly PastTouch[]> {
  const { id, generation } = row;
  return await many(db, pastRow)`
    with past as (
      select step.position, coalesce(touch.decided_at, touch.claimed_at) as done_at, touch.generation,
             (touch.attempts = 0 and touch.unknown_attempt_at is null or touch.channel::text <> all(${[...REPEATABLE_CHANNELS]}::text[]))
               and (touch.status = 'cancelled' and touch.reason <> all(${OF_ONE_STEP}::text[])
                    or touch.status in ('claimed', 'awaiting_approval')
                       and ${completedReason}::text is distinct from 'out_of_steps') as stopped
        from touch
        join follow_up_step as step on step.workspace_id = touch.workspace_id and step.id = touch.step_id
       where touch.instance_id = ${id}::uuid
         and touch.generation >= (
           select max(earlier)
             from generate_series(1, ${generation}::int) as earlier
            where not exists (select from reopening where instance_id = ${id}::uuid and generation = earlier)))
    select position, done_at as "doneAt", stopped
      from past
     where generation = ${generation} or not stopped
     order by position`;
}

/** Cancel reasons that leave the sequence running; every other cancellation is part of a stop. */
const OF_ONE_STEP = ["lead_replied", "automation_off"];

async function write(db: Queryable, { instanceId, reason, by, at }: Reopening, onward: GoingOn): Promise<void> {
  await execute(db)`
    insert into reopening (workspace_id, instance_id, lead_id, generation, position, ended_as, ended_reason, ended_at,
                           reason, reopened_by, reopened_at)
    select workspace_id, id, lead_id, generation + 1, ${onward.position}::int, status, completed_reason, completed_at,
           ${reason}, ${by}, ${at}::timestamptz
      from follow_up_instance
     where id = ${instanceId}::uuid`;
  await execute(db)`
    update follow_up_instance
       set status = 'active', generation = generation + 1, position = ${onward.position},
           next_step_due = ${onward.nextStepDue}, completed_at = null, completed_reason = null
     where id = ${instanceId}::uuid`;
  const instanceIds = sql`array[${instanceId}::uuid]`;
  await execute(db)`
    with ${cancelUnsentTouches({ instanceIds, reason: sql`'instance_cancelled'`, now: at })}
    select from unsent`;
}
