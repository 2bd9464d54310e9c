import * as z from "zod";
import { type AppointmentStatus, LEAD_STATUSES } from "../../domain/labels.ts";
import { isAhead, type MeetingState } from "../../domain/meeting.ts";
import { mayBeContacted } from "../../domain/rules-on-contact.ts";
import type { FactOf } from "../../run/intake/facts.ts";
import { completeBookedLead } from "../backstop.ts";
import { execute, one, type Queryable } from "../sql.ts";
import { type Ended, endInstances } from "./end-instances.ts";
import type { LockedLead } from "./leads.ts";
import { otherMeetings } from "./meeting-rows.ts";

export type MeetingFact = FactOf<"meeting.booked" | "meeting.rescheduled" | "meeting.cancelled" | "meeting.missed">;

/** A meeting fact, and the meeting's state before it. */
export interface Told {
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

export const NOTHING_ENDED: Ended = { ended: 0, cancelledTouches: 0 };

const others = (db: Queryable, { fact }: Told, { id }: LockedLead) =>
  otherMeetings(db, { workspaceId: fact.workspaceId, meetingId: fact.meeting.id, occurredAt: fact.occurredAt }, id);

const bookedStatus = z.object({ status: z.enum(LEAD_STATUSES) });

/** Books the lead and completes its sequences outside post-booking. */
export async function book(db: Queryable, told: Told, lead: LockedLead): Promise<Effect> {
  const { fact, known, now, endsAt } = told;
  const isOver = endsAt !== null && endsAt <= now;
  if (isOver && (await others(db, told, lead)).toldSince) {
    return { ...(await endWhatItWouldHave(db, told, lead)), starting: null };
  }
  const { status } = await one(db, bookedStatus)`
    update lead
       set status = case when status in ('blacklisted', 'unqualified') then status else 'meeting-booked' end,
           missed_at = null
     where id = ${lead.id}::uuid
    returning status::text`;
  const { workspaceId } = fact;
  const completed = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: null });
  const prepared = isOver && isAhead(known, now) ? await endPreparation(db, told, lead) : NOTHING_ENDED;
  const ended = sumOf(completed, prepared);
  // A second meeting is a new booking. A moved meeting is not, unless the lead was no longer booked.
  const begins = !isAhead(known, now) && (fact.type === "meeting.booked" || lead.bookedUntil === null);
  return { ...ended, starting: begins && !isOver ? { ...lead, status } : null };
}

const sumOf = (one: Ended, other: Ended): Ended => ({
  ended: one.ended + other.ended,
  cancelledTouches: one.cancelledTouches + other.cancelledTouches,
});

/** Cancels the post-booking sequences of a meeting that moved into the past, unless another keeps the lead booked. */
async function endPreparation(db: Queryable, told: Told, lead: LockedLead): Promise<Ended> {
  if ((await others(db, told, lead)).confirmed) return NOTHING_ENDED;
  const { workspaceId } = told.fact;
  const ending = { which: "post_booking", status: "cancelled", reason: "meeting_cancelled" } as const;
  return await endInstances(db, { workspaceId, leadIds: [lead.id], now: told.now, ...ending });
}

/** Unbooks the lead and cancels its post-booking sequences, unless another meeting keeps it booked. */
export async function leave(db: Queryable, told: Told, lead: LockedLead): Promise<Effect> {
  const { fact, status, known, now } = told;
  const { confirmed, bookedSince } = await others(db, told, lead);
  if (confirmed) return { ...NOTHING_ENDED, starting: null };
  const { workspaceId, occurredAt } = fact;
  const missed = status === "missed" && !bookedSince;
  await execute(db)`
    update lead
       set status = case when status = 'meeting-booked' then 'qualified' else status end,
           missed_at = case when ${missed} then ${occurredAt}::timestamptz else missed_at end
     where id = ${lead.id}::uuid`;
  const reason = status === "missed" ? "meeting_missed" : "meeting_cancelled";
  const ending = { which: "post_booking", status: "cancelled", reason } as const;
  const ended = await endInstances(db, { workspaceId, leadIds: [lead.id], now, ...ending });
  return { ...ended, starting: missed && known?.status !== "missed" ? lead : null };
}

/**
 * Applies a booking that arrives after a later fact of the meeting. Completes the instances that started before the
 * booking, and none that started since. Books the lead briefly, because `completeBookedLead` selects by the booked
 * marker.
 */
export async function endWhatItWouldHave(
  db: Queryable,
  { fact, status, known, now }: Told,
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
export async function keepStopCause(db: Queryable, { id, stopCause }: LockedLead): Promise<void> {
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
export async function mostInvolved(db: Queryable, leads: readonly LockedLead[]): Promise<LockedLead | undefined> {
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
