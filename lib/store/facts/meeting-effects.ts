import * as z from "zod";
import { APPOINTMENT_STATUSES, type AppointmentStatus, LEAD_STATUSES } from "../../domain/labels.ts";
import { isAhead, isNews, type MeetingState } from "../../domain/meeting.ts";
import { mayBeContacted } from "../../domain/rules.ts";
import type { FactOf } from "../../inbound/facts.ts";
import { completeBookedLead } from "../backstop.ts";
import { storedInstant } from "../rows.ts";
import { execute, many, one, type Queryable } from "../sql.ts";
import { addEnded, type Ended, endInstances, NOTHING_ENDED } from "./instances.ts";
import type { LockedLead } from "./leads.ts";

const meetingRow = z.object({
  leadId: z.guid(),
  status: z.enum(APPOINTMENT_STATUSES),
  startsAt: storedInstant,
  endsAt: storedInstant,
  lastEventAt: storedInstant,
  confirmedAt: storedInstant.nullable(),
});

/** A stored meeting: one state, and one row per lead. */
export interface KnownMeeting {
  readonly state: MeetingState;
  /** The sender's time of the latest confirmation, kept after a cancellation. */
  readonly confirmedAt: Date | null;
  readonly leadIds: readonly string[];
}

/** Returns the latest state, or null. The rows of a meeting differ only if a direct write changed some of them. */
export async function findMeeting(db: Queryable, workspaceId: string, id: string): Promise<KnownMeeting | null> {
  const rows = await many(db, meetingRow)`
    select lead_id as "leadId", status::text, starts_at as "startsAt", ends_at as "endsAt",
           last_event_at as "lastEventAt", confirmed_at as "confirmedAt"
      from appointment
     where workspace_id = ${workspaceId}::uuid and external_id = ${id}
     order by confirmed_at desc nulls last, lead_id`;
  const [first] = rows;
  if (!first) return null;
  const state = rows.reduce<MeetingState>((latest, row) => (isNews(row, latest) ? row : latest), first);
  return { state, confirmedAt: first.confirmedAt, leadIds: rows.map(({ leadId }) => leadId) };
}

interface MeetingToRecord {
  readonly workspaceId: string;
  readonly id: string;
  readonly leadIds: readonly string[];
  readonly state: MeetingState;
  readonly confirmedAt: Date | null;
  /** If false, existing rows keep their state and only take a later `confirmedAt`. */
  readonly isNews: boolean;
}

/** Upserts one row per lead. Triggers on the table book and unbook the leads. */
export async function recordMeeting(db: Queryable, meeting: MeetingToRecord): Promise<void> {
  const { workspaceId, id, leadIds, state, confirmedAt } = meeting;
  await execute(db)`
    insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at, confirmed_at)
    select ${workspaceId}::uuid, lead_id, ${id}, ${state.status}::appointment_status, ${state.startsAt},
           ${state.endsAt}, ${state.lastEventAt}, ${confirmedAt}::timestamptz
      from unnest(${[...leadIds]}::uuid[]) as given (lead_id)
    on conflict (workspace_id, external_id, lead_id) do update
       set status = case when ${meeting.isNews} then excluded.status else appointment.status end,
           starts_at = case when ${meeting.isNews} then excluded.starts_at else appointment.starts_at end,
           ends_at = case when ${meeting.isNews} then excluded.ends_at else appointment.ends_at end,
           last_event_at = case when ${meeting.isNews} then excluded.last_event_at else appointment.last_event_at end,
           confirmed_at = greatest(appointment.confirmed_at, excluded.confirmed_at)`;
}

const otherMeetings = z.object({
  isAhead: z.boolean(),
  confirmed: z.boolean(),
  bookedSince: z.boolean(),
  laterEvent: z.boolean(),
});
type OtherMeetings = z.infer<typeof otherMeetings>;

/** Whether another meeting is ahead, keeps the lead booked, was confirmed after `occurredAt`, or had any event after it. */
async function readOtherMeetings(db: Queryable, { fact }: MeetingChange, lead: LockedLead): Promise<OtherMeetings> {
  const { workspaceId, meeting, occurredAt } = fact;
  return await one(db, otherMeetings)`
    select coalesce(bool_or(appointment.status = 'confirmed' and appointment.ends_at > clock_timestamp()), false) as "isAhead",
           coalesce(bool_or(appointment.status = 'confirmed' and (
             appointment.last_event_at > ${occurredAt} or appointment.ends_at > clock_timestamp())), false) as confirmed,
           coalesce(bool_or(appointment.confirmed_at > ${occurredAt}), false) as "bookedSince",
           coalesce(bool_or(appointment.last_event_at > ${occurredAt}), false) as "laterEvent"
      from appointment
     where workspace_id = ${workspaceId}::uuid and lead_id = ${lead.id}::uuid and external_id <> ${meeting.id}`;
}

export type MeetingFact = FactOf<"meeting.booked" | "meeting.rescheduled" | "meeting.cancelled" | "meeting.missed">;

/** A meeting fact, and the meeting's state before it. */
export interface MeetingChange {
  readonly fact: MeetingFact;
  readonly status: AppointmentStatus;
  readonly now: Date;
  readonly known: MeetingState | null;
  /** The end of the meeting in its latest state; null if no time is known. */
  readonly endsAt: Date | null;
}

/** The effect of a fact on one lead. */
export interface Effect extends Ended {
  /** The lead if the fact's trigger may start sequences for it; otherwise null. */
  readonly starting: LockedLead | null;
}

const bookedStatus = z.object({ status: z.enum(LEAD_STATUSES) });

/** Books the lead and completes its sequences outside post-booking. */
export async function applyBooking(db: Queryable, change: MeetingChange, lead: LockedLead): Promise<Effect> {
  const { fact, known, now, endsAt } = change;
  const isOver = endsAt !== null && endsAt <= now;
  const others = isOver ? await readOtherMeetings(db, change, lead) : null;
  const prepared = others && isAhead(known, now) ? await endPreparation(db, change, lead, others) : NOTHING_ENDED;
  if (others?.laterEvent) {
    return { ...addEnded(await applyLateBooking(db, change, lead), prepared), starting: null };
  }
  const { status } = await one(db, bookedStatus)`
    update lead
       set status = case when status in ('blacklisted', 'unqualified') then status else 'meeting-booked' end,
           missed_at = null
     where id = ${lead.id}::uuid
    returning status::text`;
  const { workspaceId } = fact;
  const completed = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: null });
  const ended = addEnded(completed, prepared);
  // A second meeting is a new booking. A moved meeting is not, unless the lead was no longer booked.
  const begins = !isAhead(known, now) && (fact.type === "meeting.booked" || lead.bookedUntil === null);
  return { ...ended, starting: begins && !isOver ? { ...lead, status } : null };
}

/** Cancels the post-booking sequences of a meeting that is no longer ahead, unless another is. */
async function endPreparation(
  db: Queryable,
  change: MeetingChange,
  lead: LockedLead,
  others: OtherMeetings,
): Promise<Ended> {
  if (others.isAhead) return NOTHING_ENDED;
  const { workspaceId } = change.fact;
  const reason = change.status === "missed" ? "meeting_missed" : "meeting_cancelled";
  const ending = { which: "post_booking", status: "cancelled", reason } as const;
  return await endInstances(db, { workspaceId, leadIds: [lead.id], now: change.now, ...ending });
}

/**
 * Cancels the post-booking sequences of the lead, unless another meeting is ahead. Unbooks it, unless another keeps it
 * booked.
 */
export async function applyUnbooking(db: Queryable, change: MeetingChange, lead: LockedLead): Promise<Effect> {
  const { fact, status, known } = change;
  const others = await readOtherMeetings(db, change, lead);
  const ended = await endPreparation(db, change, lead, others);
  if (others.confirmed) return { ...ended, starting: null };
  const { occurredAt } = fact;
  const missed = status === "missed" && !others.bookedSince;
  await execute(db)`
    update lead
       set status = case when status = 'meeting-booked' then 'qualified' else status end,
           missed_at = case when ${missed} then ${occurredAt}::timestamptz else missed_at end
     where id = ${lead.id}::uuid`;
  return { ...ended, starting: missed && known?.status !== "missed" ? lead : null };
}

/**
 * Applies a booking that arrives after a later fact of the meeting. Completes the instances that started before the
 * booking, and none that started since. Books the lead briefly, because `completeBookedLead` selects by the booked
 * marker.
 */
export async function applyLateBooking(
  db: Queryable,
  { fact, status, known, now }: MeetingChange,
  lead: LockedLead,
): Promise<Ended> {
  if (status !== "confirmed" || isAhead(known, now)) return NOTHING_ENDED;
  const { workspaceId, occurredAt } = fact;
  await execute(db)`
    update lead set status = 'meeting-booked', missed_at = null where id = ${lead.id}::uuid`;
  const ended = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: occurredAt });
  await execute(db)`
    update lead set status = ${lead.status}::lead_status, missed_at = ${lead.missedAt}::timestamptz where id = ${lead.id}::uuid`;
  return ended;
}

/**
 * Clears the mark that the fact's own writes set, because the fact has already stopped what it must. Keeps the mark of
 * an earlier direct write; of a booked lead, only `barred`.
 */
export async function restoreStopCause(db: Queryable, { id, stopCause }: LockedLead): Promise<void> {
  await execute(db)`
    with kept as (
      select id, case when booked_until is null or ${stopCause} = 'barred' then ${stopCause}::text end as cause
        from lead where id = ${id}::uuid)
    update lead set stop_cause = kept.cause from kept
     where lead.id = kept.id and lead.stop_cause is distinct from kept.cause`;
}

/**
 * The one lead of a meeting for which sequences start, so that a shared mailbox gets each text once. Prefers a lead
 * that may be contacted, then one with a live post-booking sequence, then the most recently contacted, then the oldest.
 */
export async function chooseLeadToStart(db: Queryable, leads: readonly LockedLead[]): Promise<LockedLead | undefined> {
  if (leads.length < 2) return leads[0];
  const open = leads.filter(mayBeContacted);
  const candidates = open.length > 0 ? open : leads;
  const { id } = await one(db, z.object({ id: z.guid() }))`
    select id from lead
     where id = any(${candidates.map(({ id }) => id)}::uuid[])
     order by exists (
                select from follow_up_instance as instance
                 where instance.workspace_id = lead.workspace_id and instance.lead_id = lead.id
                   and instance.post_booking and instance.status in ('active', 'paused')) desc,
              last_outbound_at desc nulls last, id
     limit 1`;
  return candidates.find((lead) => lead.id === id);
}
