import * as z from "zod";
import type { SequenceTrigger } from "../../domain/labels.ts";
import { mayBeContacted } from "../../domain/rules.ts";
import { isTimeZone, laterInZone, zoneUsed } from "../../domain/time-zone.ts";
import { SUPPRESSION } from "../contact-rule.ts";
import { execute, many, one, type Queryable, type Sql, sql } from "../sql.ts";
import { cancelTouchesAndTasks } from "../unsent-touches.ts";
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
 * The sequences of a workspace that have this id, name or trigger, and at least one step. Locks them, so that none gets
 * a new version before the transaction ends.
 */
export async function lockStartableSequences(
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
  for (const sequence of await lockStartableSequences(db, workspaceId, { trigger })) {
    started += await startInstances(db, sequence, [lead], moment);
  }
  return started;
}

interface Moment {
  readonly now: Date;
  /** When the event that starts them occurred. */
  readonly startedAt: Date;
}

/**
 * Starts locked leads at the first step of a sequence. A lead that already has an instance starts a new generation of
 * its latest one. All steps are sent again, and unsent touches of the previous generation are cancelled. Returns the
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
    ${cancelTouchesAndTasks({ instanceIds: sql`array(select id from known)`, reason: sql`'restarted'`, now })},
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

interface Ending {
  readonly workspaceId: string;
  readonly leadIds: readonly string[];
  /**
   * All sequences, only post-booking ones, those of a trigger that started at or after an instant, those that started
   * before an instant, or one.
   */
  readonly which:
    | "post_booking"
    | "all"
    | { readonly trigger: SequenceTrigger; readonly startedSince: Date }
    | { readonly startedBefore: Date }
    | { readonly sequenceId: string };
  readonly status: "completed" | "cancelled";
  readonly reason: "meeting_cancelled" | "meeting_missed" | "opted_out" | "complained" | "had_replied" | "stopped";
  readonly now: Date;
}

const endedRow = z.object({ ended: z.int(), cancelledTouches: z.int() });
export type Ended = z.infer<typeof endedRow>;

export const NOTHING_ENDED: Ended = { ended: 0, cancelledTouches: 0 };

export const addEnded = (first: Ended, second: Ended): Ended => ({
  ended: first.ended + second.ended,
  cancelledTouches: first.cancelledTouches + second.cancelledTouches,
});

/** Ends live instances of locked leads. Also cancels unsent touches of instances that had already ended. */
export async function endInstances(db: Queryable, ending: Ending): Promise<Ended> {
  const { workspaceId, leadIds, which, status, reason, now } = ending;
  return await one(db, endedRow)`
    with chosen as materialized (
      select id, status in ('active', 'paused') as live
        from follow_up_instance
       where workspace_id = ${workspaceId}::uuid and lead_id = any(${[...leadIds]}::uuid[])
         and ${isChosen(which)}
       order by id
         for no key update),
    changed as (
      update follow_up_instance
         set status = ${status}::instance_status, completed_at = ${now}, completed_reason = ${reason},
             next_step_due = null, paused_reason = null
       where id = any(array(select id from chosen where live))),
    ${cancelTouchesAndTasks({ instanceIds: sql`array(select id from chosen)`, reason: sql`${reason}`, now })}
    select (select count(*)::int from chosen where live) as ended, (select count(*)::int from cancelled) as "cancelledTouches"`;
}

function isChosen(which: Ending["which"]): Sql {
  if (which === "all") return sql`true`;
  if (which === "post_booking") return sql`post_booking`;
  if ("startedBefore" in which) return sql`started_at < ${which.startedBefore}`;
  if ("sequenceId" in which) return sql`sequence_id = ${which.sequenceId}::uuid`;
  return sql`
    started_at >= ${which.startedSince} and exists (
      select from follow_up_sequence as sequence
       where sequence.id = sequence_id and trigger_on = ${which.trigger}::sequence_trigger)`;
}

const suppressedRow = z.object({ id: z.guid(), reason: z.enum(["opted_out", "complained"]) });

/**
 * Ends all sequences, post-booking ones included, of the suppressed leads among these and those that share their
 * address or number. The caller must have locked them all.
 */
export async function endSuppressed(db: Queryable, { workspaceId, leadIds, now }: Suppressed): Promise<Ended> {
  const suppressed = await many(db, suppressedRow)`
    with named as materialized (
      select normalised_email, normalised_phone from lead where id = any(${[...leadIds]}::uuid[]))
    select id, ${SUPPRESSION} as reason
      from lead
     where workspace_id = ${workspaceId}::uuid and ${SUPPRESSION} is not null
       and (normalised_email = any(array(select normalised_email from named))
            or normalised_phone = any(array(select normalised_phone from named))
            or id = any(${[...leadIds]}::uuid[]))`;
  let total = NOTHING_ENDED;
  for (const [reason, leads] of Map.groupBy(suppressed, (row) => row.reason)) {
    const ending = { workspaceId, leadIds: leads.map(({ id }) => id), now, reason } as const;
    total = addEnded(total, await endInstances(db, { ...ending, which: "all", status: "completed" }));
  }
  return total;
}

interface Suppressed {
  readonly workspaceId: string;
  readonly leadIds: readonly string[];
  readonly now: Date;
}
