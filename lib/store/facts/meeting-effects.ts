import * as z from "zod";
import { mayBeContacted } from "../../domain/enrolment.ts";
import { type AppointmentStatus, LEAD_STATUSES } from "../../domain/labels.ts";
import { isAhead, type MeetingState } from "../../domain/meeting.ts";
import type { FactOf } from "../../run/intake/facts.ts";
import { completeBookedLead } from "../backstop.ts";
import type { Queryable } from "../queryable.ts";
import { type Ended, endInstances } from "./end-instances.ts";
import type { LockedLead } from "./leads.ts";
import { otherMeetings } from "./meeting-rows.ts";

export type MeetingFact = FactOf<"meeting.booked" | "meeting.rescheduled" | "meeting.cancelled" | "meeting.missed">;

/** What a fact says of a meeting, and what was known before. */
export interface Told {
  readonly fact: MeetingFact;
  readonly status: AppointmentStatus;
  readonly now: Date;
  readonly known: MeetingState | null;
  /** The end of the meeting as it stands now; null where no time is known. */
  readonly endsAt: Date | null;
}

/** What a fact did to one lead. */
export interface Effect extends Ended {
  /** The lead, if sequences of the fact's trigger may start for it. */
  readonly starting: LockedLead | null;
}

export const NOTHING_ENDED: Ended = { ended: 0, cancelledTouches: 0 };

const others = (db: Queryable, { fact }: Told, { id }: LockedLead) =>
  otherMeetings(db, { workspaceId: fact.workspaceId, meetingId: fact.meeting.id, occurredAt: fact.occurredAt }, id);

const bookedStatus = z.object({ status: z.enum(LEAD_STATUSES) });

/** The lead is booked: what chases the meeting ends. */
export async function book(db: Queryable, told: Told, lead: LockedLead): Promise<Effect> {
  const { fact, known, now, endsAt } = told;
  const isOver = endsAt !== null && endsAt <= now;
  if (isOver && (await others(db, told, lead)).toldSince) {
    return { ...(await endWhatItWouldHave(db, told, lead)), starting: null };
  }
  const rows = await db.$queryRaw`
    update lead
       set status = case when status in ('blacklisted', 'unqualified') then status else 'meeting-booked' end,
           missed_at = null
     where id = ${lead.id}::uuid
    returning status::text`;
  const { status } = z.tuple([bookedStatus]).parse(rows)[0];
  const { workspaceId } = fact;
  const completed = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: null });
  const prepared = isOver && isAhead(known, now) ? await endPreparation(db, told, lead) : NOTHING_ENDED;
  const ended = sumOf(completed, prepared);
  // A second meeting is another booking; one that was moved is not, unless the lead was not booked any more.
  const begins = !isAhead(known, now) && (fact.type === "meeting.booked" || lead.bookedUntil === null);
  return { ...ended, starting: begins && !isOver ? { ...lead, status } : null };
}

const sumOf = (one: Ended, other: Ended): Ended => ({
  ended: one.ended + other.ended,
  cancelledTouches: one.cancelledTouches + other.cancelledTouches,
});

/** A meeting that moves into the past is no longer ahead: nothing prepares it, unless the lead has another. */
async function endPreparation(db: Queryable, told: Told, lead: LockedLead): Promise<Ended> {
  if ((await others(db, told, lead)).confirmed) return NOTHING_ENDED;
  const { workspaceId } = told.fact;
  const ending = { which: "post_booking", status: "cancelled", reason: "meeting_cancelled" } as const;
  return await endInstances(db, { workspaceId, leadIds: [lead.id], now: told.now, ...ending });
}

/** The lead has this meeting no more: it leaves `meeting-booked` and its post-booking sequences, unless it has another. */
export async function leave(db: Queryable, told: Told, lead: LockedLead): Promise<Effect> {
  const { fact, status, known, now } = told;
  const { confirmed, bookedSince } = await others(db, told, lead);
  if (confirmed) return { ...NOTHING_ENDED, starting: null };
  const { workspaceId, occurredAt } = fact;
  const missed = status === "missed" && !bookedSince;
  await db.$executeRaw`
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
 * A booking that comes after what has put an end to it ends what chased the lead when it was made, and nothing that started
 * since: for that the lead is booked for the length of a statement.
 */
export async function endWhatItWouldHave(
  db: Queryable,
  { fact, status, known, now }: Told,
  lead: LockedLead,
): Promise<Ended> {
  if (status !== "confirmed" || isAhead(known, now)) return NOTHING_ENDED;
  const { workspaceId, occurredAt } = fact;
  await db.$executeRaw`
    update lead set status = 'meeting-booked', missed_at = null where id = ${lead.id}::uuid`;
  const ended = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: occurredAt });
  await db.$executeRaw`
    update lead set status = ${lead.status}::lead_status, missed_at = ${lead.missedAt}::timestamptz where id = ${lead.id}::uuid`;
  return ended;
}

/** A fact stops what it has to itself: the mark of its own writes goes, that of an earlier direct write stays. */
export async function keepStopCause(db: Queryable, { id, stopCause }: LockedLead): Promise<void> {
  await db.$executeRaw`
    with kept as (
      select id, case when booked_until is null or ${stopCause} = 'barred' then ${stopCause}::text end as cause
        from lead where id = ${id}::uuid)
    update lead set stop_cause = kept.cause from kept
     where lead.id = kept.id and lead.stop_cause is distinct from kept.cause`;
}

/**
 * The one of the leads of a meeting for which sequences start, so that a shared mailbox gets each text once: one that may
 * be contacted; of these the one that has a live post-booking sequence, else the most recently contacted, else the oldest.
 */
export async function mostInvolved(db: Queryable, leads: readonly LockedLead[]): Promise<LockedLead | undefined> {
  if (leads.length < 2) return leads[0];
  const open = leads.filter(mayBeContacted);
  const candidates = open.length > 0 ? open : leads;
  const rows = await db.$queryRaw`
    select id from lead
     where id = any(${candidates.map(({ id }) => id)}::uuid[])
     order by exists (
                select from follow_up_instance as instance
                 where instance.workspace_id = lead.workspace_id and instance.lead_id = lead.id
                   and instance.post_booking and instance.status in ('active', 'paused')) desc,
              last_outbound_at desc nulls last, id
     limit 1`;
  const [{ id }] = z.tuple([z.object({ id: z.guid() })]).parse(rows);
  return candidates.find((lead) => lead.id === id);
}
