import * as z from "zod";
import { APPOINTMENT_STATUSES, type AppointmentStatus, LEAD_STATUSES } from "../../domain/labels.ts";
import { isAhead, isNews, type MeetingState } from "../../domain/meeting.ts";
import type { FactOf } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import { completeBookedLead } from "../backstop.ts";
import type { Queryable, Transactional } from "../queryable.ts";
import { instant } from "../rows.ts";
import { type Ended, endInstances } from "./end-instances.ts";
import { findLeads, findOrAddLeads, isRefused, type LockedLead, type Refused, refused } from "./leads.ts";
import { notify } from "./notify.ts";
import { startOn } from "./start-instances.ts";
import { takeInOnce } from "./take-in.ts";

type MeetingFact = FactOf<"meeting.booked" | "meeting.rescheduled" | "meeting.cancelled" | "meeting.missed">;

/** A lead has booked: what chased the meeting ends in the same transaction, and post-booking sequences start. */
export const meetingBooked = (db: Transactional, fact: FactOf<"meeting.booked">): Promise<FactOutcome> =>
  takeInOnce(db, fact, (transaction, now) => apply(transaction, { fact, status: "confirmed", now }));

/** A meeting has another time, and maybe another id. Post-booking sequences go on; they start where no booking was known. */
export const meetingRescheduled = (db: Transactional, fact: FactOf<"meeting.rescheduled">): Promise<FactOutcome> =>
  takeInOnce(db, fact, async (transaction, now) => {
    const told = { fact, status: "confirmed", now } as const;
    return await (fact.replaces === undefined ? apply(transaction, told) : replace(transaction, told, fact.replaces));
  });

/** Both meetings or neither. */
async function replace(db: Queryable, told: Told, replaces: string): Promise<FactOutcome> {
  const { fact, now } = told;
  const former = { ...fact, meeting: { ...fact.meeting, id: replaces } };
  const replaced = await findMeeting(db, former);
  if (replaced && !(await findLeads(db, fact.workspaceId, fact.lead)).some(({ id }) => id === replaced.leadId)) {
    return refused(`replaces: meeting ${replaces} is another lead's`);
  }
  const outcome = await apply(db, told);
  // By its id: of an address that several have, only the new meeting tells whose the one that nobody knew was.
  const of = replaced ?? (await findMeeting(db, fact));
  if (outcome.outcome === "refused" || !of) return outcome;
  await apply(db, { fact: { ...former, lead: { id: of.leadId } }, status: "cancelled", now });
  return outcome;
}

/** A meeting will not take place: the lead leaves `meeting-booked`. Nothing that was ended starts again by itself. */
export const meetingCancelled = (db: Transactional, fact: FactOf<"meeting.cancelled">): Promise<FactOutcome> =>
  takeInOnce(db, fact, (transaction, now) => apply(transaction, { fact, status: "cancelled", now }));

/** The lead did not come: it leaves `meeting-booked`, and sequences with the trigger `meeting_missed` start. */
export const meetingMissed = (db: Transactional, fact: FactOf<"meeting.missed">): Promise<FactOutcome> =>
  takeInOnce(db, fact, (transaction, now) => apply(transaction, { fact, status: "missed", now }));

interface Told {
  readonly fact: MeetingFact;
  readonly status: AppointmentStatus;
  readonly now: Date;
}

/** What is told, what was known before, and whom it is about, as it was before. */
interface News extends Told {
  readonly known: KnownMeeting | null;
  readonly lead: LockedLead;
}

async function apply(db: Queryable, told: Told): Promise<FactOutcome> {
  const { fact, status } = told;
  const known = await findMeeting(db, fact);
  const lead = await leadOf(db, fact, known);
  if (isRefused(lead)) return lead;
  const news = { ...told, known, lead };
  const { startsAt, endsAt } = fact.meeting;
  if (!isNews({ status, startsAt, endsAt, lastEventAt: fact.occurredAt }, known)) {
    const ended = await endWhatItWouldHave(db, news);
    await keepStopCause(db, lead);
    return { outcome: "stale", ...ended };
  }
  await record(db, news);
  const consequences = await (status === "confirmed" ? book(db, news) : leave(db, news));
  await keepStopCause(db, lead);
  return { outcome: "applied", ...consequences };
}

/** A fact stops what it has to itself: the mark of its own writes goes, that of an earlier direct write stays. */
async function keepStopCause(db: Queryable, { id, stopCause }: LockedLead): Promise<void> {
  await db.$executeRaw`
    with kept as (
      select id, case when booked_until is null or ${stopCause} = 'lead_status' then ${stopCause}::text end as cause
        from lead where id = ${id}::uuid)
    update lead set stop_cause = kept.cause from kept
     where lead.id = kept.id and lead.stop_cause is distinct from kept.cause`;
}

const knownMeeting = z.object({
  leadId: z.guid(),
  status: z.enum(APPOINTMENT_STATUSES),
  startsAt: instant,
  endsAt: instant,
  lastEventAt: instant,
});
type KnownMeeting = z.infer<typeof knownMeeting> & MeetingState;

async function findMeeting(db: Queryable, { workspaceId, meeting }: MeetingFact): Promise<KnownMeeting | null> {
  const rows = await db.$queryRaw`
    select lead_id as "leadId", status::text, starts_at as "startsAt", ends_at as "endsAt", last_event_at as "lastEventAt"
      from appointment
     where workspace_id = ${workspaceId}::uuid and external_id = ${meeting.id}`;
  return z.array(knownMeeting).parse(rows)[0] ?? null;
}

async function leadOf(db: Queryable, fact: MeetingFact, known: KnownMeeting | null): Promise<LockedLead | Refused> {
  const find = known ? findLeads : findOrAddLeads;
  const leads = await find(db, fact.workspaceId, fact.lead);
  if (isRefused(leads)) return leads;
  const [lead] = known ? leads.filter(({ id }) => id === known.leadId) : leads;
  if (!lead) return refused(`meeting.id: meeting ${fact.meeting.id} is another lead's`);
  if (!known && leads.length > 1) {
    return refused(`lead.email: ${leads.length} leads have this address; name one by its id or externalId`);
  }
  return lead;
}

/** The database books and unbooks the lead by it. */
async function record(db: Queryable, { fact, status, lead }: News): Promise<void> {
  const { workspaceId, meeting, occurredAt } = fact;
  await db.$executeRaw`
    insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at, confirmed_at)
    values (${workspaceId}::uuid, ${lead.id}::uuid, ${meeting.id}, ${status}::appointment_status, ${meeting.startsAt},
            ${meeting.endsAt}, ${occurredAt}, ${status === "confirmed" ? occurredAt : null}::timestamptz)
    on conflict (workspace_id, external_id) do update
       set status = excluded.status, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
           last_event_at = excluded.last_event_at,
           confirmed_at = greatest(appointment.confirmed_at, excluded.confirmed_at)`;
}

interface Consequences extends Ended {
  readonly started: number;
}

const bookedStatus = z.object({ status: z.enum(LEAD_STATUSES) });

async function book(db: Queryable, news: News): Promise<Consequences> {
  const { fact, known, lead, now } = news;
  const { workspaceId, occurredAt, type, meeting } = fact;
  if (meeting.endsAt <= now && (await otherMeetings(db, fact, lead)).toldSince) {
    return { ...(await endWhatItWouldHave(db, news)), started: 0 };
  }
  const rows = await db.$queryRaw`
    update lead
       set status = case when status in ('blacklisted', 'unqualified') then status else 'meeting-booked' end,
           missed_at = null
     where id = ${lead.id}::uuid
    returning status::text`;
  const booked = { ...lead, ...z.tuple([bookedStatus]).parse(rows)[0] };
  const ended = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: null });
  // A second meeting is another booking; one that was moved is not, unless the lead was not booked any more.
  const begins = !isAhead(known, now) && (type === "meeting.booked" || lead.bookedUntil === null);
  if (!begins || meeting.endsAt <= now) return { ...ended, started: 0 };
  await notify(db, "meeting_booked", { workspaceId, leadIds: [lead.id], now });
  const started = await startOn(db, "meeting_selected", booked, { workspaceId, now, startedAt: occurredAt });
  return { ...ended, started };
}

async function leave(db: Queryable, { fact, status, known, lead, now }: News): Promise<Consequences> {
  const others = await otherMeetings(db, fact, lead);
  if (others.confirmed) return { ended: 0, cancelledTouches: 0, started: 0 };
  const { workspaceId, occurredAt } = fact;
  const missed = status === "missed" && !others.bookedSince;
  await db.$executeRaw`
    update lead
       set status = case when status = 'meeting-booked' then 'qualified' else status end,
           missed_at = case when ${missed} then ${occurredAt}::timestamptz else missed_at end
     where id = ${lead.id}::uuid`;
  const reason = status === "missed" ? "meeting_missed" : "meeting_cancelled";
  const ending = { which: "post_booking", status: "cancelled", reason } as const;
  const ended = await endInstances(db, { workspaceId, leadIds: [lead.id], now, ...ending });
  if (!missed || known?.status === "missed") return { ...ended, started: 0 };
  const started = await startOn(db, "meeting_missed", lead, { workspaceId, now, startedAt: occurredAt });
  return { ...ended, started };
}

const others = z.object({ confirmed: z.boolean(), bookedSince: z.boolean(), toldSince: z.boolean() });

/** Whether another meeting keeps the lead booked, was booked since, or has been told of since. */
async function otherMeetings(db: Queryable, { workspaceId, meeting, occurredAt }: MeetingFact, { id }: LockedLead) {
  const rows = await db.$queryRaw`
    select coalesce(bool_or(appointment.status = 'confirmed' and (
             appointment.last_event_at > ${occurredAt} or appointment.ends_at > clock_timestamp())), false) as confirmed,
           coalesce(bool_or(appointment.confirmed_at > ${occurredAt}), false) as "bookedSince",
           coalesce(bool_or(appointment.last_event_at > ${occurredAt}), false) as "toldSince"
      from appointment
     where workspace_id = ${workspaceId}::uuid and lead_id = ${id}::uuid and external_id <> ${meeting.id}`;
  return z.tuple([others]).parse(rows)[0];
}

/**
 * A booking that comes after what has put an end to it ends what chased the lead when it was made, and nothing that started
 * since: for that the lead is booked for the length of a statement.
 */
async function endWhatItWouldHave(db: Queryable, { fact, status, known, lead, now }: News): Promise<Ended> {
  if (status !== "confirmed" || isAhead(known, now)) return { ended: 0, cancelledTouches: 0 };
  const { workspaceId, occurredAt, meeting } = fact;
  await db.$executeRaw`
    update appointment set confirmed_at = greatest(confirmed_at, ${occurredAt}::timestamptz)
     where workspace_id = ${workspaceId}::uuid and external_id = ${meeting.id}`;
  await db.$executeRaw`
    update lead set status = 'meeting-booked', missed_at = null where id = ${lead.id}::uuid`;
  const ended = await completeBookedLead(db, { workspaceId, leadId: lead.id, now, startedBefore: occurredAt });
  await db.$executeRaw`
    update lead set status = ${lead.status}::lead_status, missed_at = ${lead.missedAt}::timestamptz where id = ${lead.id}::uuid`;
  return ended;
}
