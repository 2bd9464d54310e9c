import * as z from "zod";
import { INSTANCE_STATUSES } from "../domain/labels.ts";
import type { DueCandidate } from "../run/claim-ports.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { parseDueRows, storedInstant, storedInstantOrNull } from "./rows.ts";
import { many, one, type Queryable } from "./sql.ts";
import { TOUCHED_AT } from "./touch-lists.ts";

const stateRow = z.object({
  isBooked: z.boolean(),
  bookedAt: storedInstantOrNull,
  missedAt: storedInstantOrNull,
  bookedUntil: storedInstantOrNull,
  automationEnabled: z.boolean(),
  optedOutAt: storedInstantOrNull,
  snoozedUntil: storedInstantOrNull,
  suppressedReason: z.string().nullable(),
  emailUndeliverable: z.boolean(),
  phoneUndeliverable: z.boolean(),
  lastInboundAt: storedInstantOrNull,
  lastOutboundAt: storedInstantOrNull,
  timeZone: z.string().nullable(),
  workspaceTimeZone: z.string(),
});
type LeadState = z.infer<typeof stateRow>;

export async function readLeadState(db: Queryable, leadId: string): Promise<LeadState> {
  return await one(db, stateRow)`
    select lead.is_booked as "isBooked", lead.booked_at as "bookedAt", lead.missed_at as "missedAt",
           lead.booked_until as "bookedUntil", lead.automation_enabled as "automationEnabled",
           lead.opted_out_at as "optedOutAt", lead.snoozed_until as "snoozedUntil",
           lead.suppressed_reason::text as "suppressedReason", lead.email_undeliverable as "emailUndeliverable",
           lead.phone_undeliverable as "phoneUndeliverable", lead.last_inbound_at as "lastInboundAt",
           lead.last_outbound_at as "lastOutboundAt", lead.time_zone as "timeZone",
           workspace.time_zone as "workspaceTimeZone"
      from lead join workspace on workspace.id = lead.workspace_id
     where lead.id = ${leadId}::uuid`;
}

export const eventRow = z.object({
  at: storedInstant,
  what: z.string(),
  sequence: z.string().nullable(),
  position: z.int().nullable(),
  /** A label of `CHANNELS`, or an unknown one if the database is newer than this code. */
  channel: z.string().nullable(),
  touchId: z.guid().nullable(),
  reason: z.string().nullable(),
  by: z.string().nullable(),
});
type StoryEvent = z.infer<typeof eventRow>;

/** The latest `limit` events of a lead, in order. Holds no text and no address. */
export async function readStory(db: Queryable, leadId: string, limit: number): Promise<StoryEvent[]> {
  const events = await many(db, eventRow)`
    select at, what, sequence, position, channel::text, touch_id as "touchId", reason, by
      from (
        select created_at as at, 'lead_created' as what, null as sequence, null::int as position,
               null::channel as channel, null::uuid as touch_id, null as reason, null as by
          from lead where id = ${leadId}::uuid
        union all
        select lead.opted_out_at, 'opted_out', null, null, null, null, null, null
          from lead where id = ${leadId}::uuid and opted_out_at is not null
        union all
        select lead.opted_in_at, 'opted_in', null, null, null, null, null, null
          from lead where id = ${leadId}::uuid and opted_in_at is not null
        union all
        select lead.opted_in_by_text_at, 'opted_in', null, null, 'sms', null, null, null
          from lead where id = ${leadId}::uuid and opted_in_by_text_at is not null
        union all
        select lead.last_inbound_at, 'lead_wrote', null, null, null, null, null, null
          from lead where id = ${leadId}::uuid and last_inbound_at is not null
        union all
        select lead.booked_at, 'booked', null, null, null, null, null, null
          from lead where id = ${leadId}::uuid and booked_at is not null
        union all
        select lead.missed_at, 'meeting_missed', null, null, null, null, null, null
          from lead where id = ${leadId}::uuid and missed_at is not null
        union all
        select appointment.created_at, 'meeting_' || appointment.status::text, null, null, null, null,
               'starts ' || to_char(appointment.starts_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"'), null
          from lead join appointment on appointment.workspace_id = lead.workspace_id and appointment.lead_id = lead.id
         where lead.id = ${leadId}::uuid
        union all
        select instance.created_at, 'sequence_started', sequence.name, null, null, null, null, null
          from follow_up_instance as instance join follow_up_sequence as sequence on sequence.id = instance.sequence_id
         where instance.lead_id = ${leadId}::uuid
        union all
        select instance.completed_at, 'sequence_' || instance.status::text, sequence.name, null, null, null,
               instance.completed_reason, null
          from follow_up_instance as instance join follow_up_sequence as sequence on sequence.id = instance.sequence_id
         where instance.lead_id = ${leadId}::uuid and instance.completed_at is not null
        union all
        select reopening.reopened_at, 'sequence_reopened', sequence.name, reopening.position, null, null,
               reopening.reason, reopening.reopened_by
          from follow_up_instance as instance
          join reopening on reopening.instance_id = instance.id
          join follow_up_sequence as sequence on sequence.id = instance.sequence_id
         where instance.lead_id = ${leadId}::uuid
        union all
        select ${TOUCHED_AT}, 'touch_' || touch.status::text,
               sequence.name, step.position, touch.channel, touch.id, touch.reason, touch.decided_by
          from follow_up_instance as instance
          join touch on touch.instance_id = instance.id
          join follow_up_step as step on step.id = touch.step_id
          join follow_up_sequence as sequence on sequence.id = step.sequence_id
         where instance.lead_id = ${leadId}::uuid
        union all
        select ${TOUCHED_AT}, 'touch_offers_times', sequence.name,
               step.position, touch.channel, touch.id,
               string_agg(to_char(offered.starts_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"'), ', ' order by offered.starts_at),
               null
          from lead
          join offered_time as offered on offered.workspace_id = lead.workspace_id and offered.lead_id = lead.id
          join touch on touch.id = offered.touch_id and touch.workspace_id = offered.workspace_id
          join follow_up_step as step on step.id = touch.step_id
          join follow_up_sequence as sequence on sequence.id = step.sequence_id
         where lead.id = ${leadId}::uuid
         group by touch.id, touch.workspace_id, sequence.name, step.position
        union all
        select outcome.at, outcome.what, sequence.name, step.position, touch.channel, touch.id, null, null
          from follow_up_instance as instance
          join touch on touch.instance_id = instance.id
          join follow_up_step as step on step.id = touch.step_id
          join follow_up_sequence as sequence on sequence.id = step.sequence_id
         cross join lateral (
           values (touch.delivered_at, 'touch_delivered'), (touch.bounced_at, 'touch_bounced'),
                  (touch.complained_at, 'touch_complained'),
                  ((select occurred_at from transient_bounce
                     where transient_bounce.workspace_id = touch.workspace_id and hash = touch.recipient_hash
                       and cause = touch.id::text), 'touch_bounced_for_now')) as outcome (at, what)
         where instance.lead_id = ${leadId}::uuid and outcome.at is not null
        union all
        select coalesce(task.done_at, task.cancelled_at),
               case when task.done_at is not null then 'task_done' else 'task_cancelled' end, null, null, 'task',
               task.touch_id, null, null
          from lead join task on task.workspace_id = lead.workspace_id and task.lead_id = lead.id
         where lead.id = ${leadId}::uuid and coalesce(task.done_at, task.cancelled_at) is not null
        union all
        select placed_order.placed_at, placed_order.name, null, null, null, null, placed_order.reason,
               placed_order.placed_by
          from lead
          join placed_order on placed_order.workspace_id = lead.workspace_id and placed_order.lead_id = lead.id
         where lead.id = ${leadId}::uuid
        union all
        select placed_order.placed_at, placed_order.name, sequence.name, step.position, touch.channel, touch.id,
               placed_order.reason, placed_order.placed_by
          from follow_up_instance as instance
          join touch on touch.instance_id = instance.id
          join placed_order on placed_order.id = touch.retry_order_id
          join follow_up_step as step on step.id = touch.step_id
          join follow_up_sequence as sequence on sequence.id = step.sequence_id
         where instance.lead_id = ${leadId}::uuid
      ) as event
     order by at desc, what desc
     limit ${limit}`;
  return events.reverse();
}

const instanceRow = z.object({
  instanceStatus: z.enum(INSTANCE_STATUSES),
  why: z.string().nullable(),
  sequenceName: z.string(),
  due: storedInstant.nullable(),
  generation: z.int(),
});

/** A live instance, as a claim would read it if it were due now. */
export interface ShownInstance extends z.infer<typeof instanceRow> {
  readonly candidate: DueCandidate;
}

/** The live instances of a lead, in the order in which they started. */
export async function readLiveInstances(db: Queryable, leadId: string, now: Date): Promise<ShownInstance[]> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}, instance.next_step_due as due, instance.status::text as "instanceStatus",
           coalesce(instance.paused_reason::text, instance.hold_reason) as why, sequence.name as "sequenceName"
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
     where instance.lead_id = ${leadId}::uuid and instance.live
     order by instance.started_at, instance.id`;
  const dueRows = parseDueRows(rows);
  const candidates = await readCandidates(db, dueRows, now);
  return dueRows.flatMap(({ row }, index) => {
    const candidate = candidates[index];
    return candidate ? [{ ...instanceRow.parse(row), candidate }] : [];
  });
}
