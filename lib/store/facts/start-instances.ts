import * as z from "zod";
import type { SequenceTrigger } from "../../domain/labels.ts";
import { mayBeContacted } from "../../domain/rules-on-contact.ts";
import { isTimeZone, laterInZone, zoneUsed } from "../../domain/time-zone.ts";
import { execute, many, type Queryable, sql } from "../sql.ts";
import { endUnsent } from "../unsent-touches.ts";
import type { LockedLead } from "./leads.ts";

const sequenceRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  isPostBooking: z.boolean(),
  firstDelayMinutes: z.int(),
  workspaceTimeZone: z.string(),
});
export type StartableSequence = z.infer<typeof sequenceRow>;

interface Wanted {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  /** Matches active sequences only. */
  readonly trigger?: SequenceTrigger;
}

/**
 * Returns the sequences of a workspace that have this id, name or trigger, and at least one step. Locks them, so that
 * none gets a new version before the transaction ends.
 */
export async function findSequences(
  db: Queryable,
  workspaceId: string,
  { id, name, trigger }: Wanted,
): Promise<readonly StartableSequence[]> {
  return await many(db, sequenceRow)`
    select sequence.id, sequence.workspace_id as "workspaceId", is_post_booking as "isPostBooking",
           first.delay_minutes as "firstDelayMinutes", workspace.time_zone as "workspaceTimeZone"
      from follow_up_sequence as sequence
      join workspace on workspace.id = sequence.workspace_id
      join lateral (
        select delay_minutes from follow_up_step
         where sequence_id = sequence.id and version = sequence.version
         order by position limit 1) as first on true
     where sequence.workspace_id = ${workspaceId}::uuid
       and (sequence.id = ${id ?? null}::uuid or sequence.name = ${name ?? null}
            or (sequence.active and trigger_on = ${trigger ?? null}::sequence_trigger))
     order by sequence.id
       for key share of sequence`;
}

/** Starts every sequence of a trigger for a lead that may be contacted. Returns the number started. */
export async function startOn(
  db: Queryable,
  trigger: SequenceTrigger,
  lead: LockedLead,
  { workspaceId, ...moment }: Moment & { readonly workspaceId: string },
): Promise<number> {
  if (!mayBeContacted(lead)) return 0;
  let started = 0;
  for (const sequence of await findSequences(db, workspaceId, { trigger })) {
    started += await startInstances(db, sequence, [lead], moment);
  }
  return started;
}

export interface Moment {
  readonly now: Date;
  /** When the event that starts them occurred. */
  readonly startedAt: Date;
}

/**
 * Starts locked leads at the first step of a sequence. A lead that already has an instance starts a new generation of
 * its latest one: all steps are sent again, and unsent touches of the former generation are cancelled. Returns the
 * number started.
 */
export async function startInstances(
  db: Queryable,
  sequence: StartableSequence,
  leads: readonly Pick<LockedLead, "id" | "timeZone">[],
  { now, startedAt }: Moment,
): Promise<number> {
  const dues = leads.map((lead) => firstDue(sequence, lead, now));
  return await execute(db)`
    with given as (
      select * from unnest(${leads.map(({ id }) => id)}::uuid[], ${dues}::timestamptz[]) as given (lead_id, due)),
    known as materialized (
      select distinct on (instance.lead_id) instance.id, instance.lead_id, given.due
        from given
        join follow_up_instance as instance
          on instance.workspace_id = ${sequence.workspaceId}::uuid and instance.lead_id = given.lead_id
             and instance.sequence_id = ${sequence.id}::uuid
       order by instance.lead_id, (instance.status in ('active', 'paused')) desc, instance.started_at desc, instance.id desc),
    ${endUnsent({ instanceIds: sql`array(select id from known)`, reason: sql`'restarted'`, now })},
    restarted as (
      update follow_up_instance as instance
         set status = 'active', generation = least(generation, 2147483646) + 1, position = 1, next_step_due = known.due,
             started_at = ${startedAt}, paused_reason = null, recheck_at = null, hold_reason = null,
             held_since = null, completed_at = null, completed_reason = null
        from known
       where instance.id = known.id
      returning instance.lead_id),
    added as (
      insert into follow_up_instance
             (workspace_id, lead_id, lead_booked, sequence_id, post_booking, status, next_step_due, started_at)
      select lead.workspace_id, lead.id, lead.is_booked, ${sequence.id}::uuid, ${sequence.isPostBooking}, 'active',
             given.due, ${startedAt}
        from given
        join lead on lead.id = given.lead_id
       where not exists (select from known where known.lead_id = given.lead_id)
      returning lead_id)
    select from restarted union all select from added`;
}

/** Due at once if the time zone is invalid: the next run holds the instance and names the zone. */
function firstDue(
  { firstDelayMinutes, workspaceTimeZone }: StartableSequence,
  lead: Pick<LockedLead, "timeZone">,
  now: Date,
): Date {
  const { zone } = zoneUsed(lead, { timeZone: workspaceTimeZone });
  return isTimeZone(zone) ? laterInZone(now, firstDelayMinutes, zone) : now;
}
