import type { AppointmentStatus } from "../../domain/labels.ts";
import { isNews, type MeetingState } from "../../domain/meeting.ts";
import { isTimeZone } from "../../domain/time-zone.ts";
import type { FactOf } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import type { Queryable, Transactional } from "../queryable.ts";
import {
  createdBy,
  type FoundLead,
  type FoundLeads,
  findLeads,
  findOrAddLeads,
  isRefused,
  type Meant,
  type Refused,
} from "./leads.ts";
import {
  book,
  type Effect,
  endWhatItWouldHave,
  keepStopCause,
  leave,
  type MeetingFact,
  mostInvolved,
  NOTHING_ENDED,
  type Told,
} from "./meeting-effects.ts";
import { findMeeting, type KnownMeeting, recordMeeting } from "./meeting-rows.ts";
import { notify } from "./notify.ts";
import { startOn } from "./start-instances.ts";
import { takeInOnce } from "./take-in.ts";

/** A lead has booked: what chased the meeting ends in the same transaction, and post-booking sequences start. */
export const meetingBooked = (db: Transactional, given: FactOf<"meeting.booked">): Promise<FactOutcome> =>
  takeInOnce(db, given, (transaction, now, fact) => apply(transaction, { fact, status: "confirmed", now }));

/** A meeting has another time, and maybe another id. Post-booking sequences go on; they start where no booking was known. */
export const meetingRescheduled = (db: Transactional, given: FactOf<"meeting.rescheduled">): Promise<FactOutcome> =>
  takeInOnce(db, given, async (transaction, now, fact) => {
    const { replaces } = fact;
    const outcome = await apply(transaction, { fact, status: "confirmed", now, alsoOf: replaces });
    // Without a time of its own the new meeting books by the status alone: the former one goes on counting.
    const isStored = outcome.outcome !== "refused" && fact.meeting.endsAt !== null;
    if (isStored && replaces !== undefined) await cancelReplaced(transaction, fact, replaces, now);
    return outcome;
  });

/** A meeting will not take place: the lead leaves `meeting-booked`. Nothing that was ended starts again by itself. */
export const meetingCancelled = (db: Transactional, given: FactOf<"meeting.cancelled">): Promise<FactOutcome> =>
  takeInOnce(db, given, (transaction, now, fact) => apply(transaction, { fact, status: "cancelled", now }));

/** The lead did not come: it leaves `meeting-booked`, and sequences with the trigger `meeting_missed` start. */
export const meetingMissed = (db: Transactional, given: FactOf<"meeting.missed">): Promise<FactOutcome> =>
  takeInOnce(db, given, (transaction, now, fact) => apply(transaction, { fact, status: "missed", now }));

/** If it is not known, the leads of the new meeting get it as cancelled, because its booking may still arrive. */
async function cancelReplaced(
  db: Queryable,
  fact: FactOf<"meeting.rescheduled">,
  replaces: string,
  now: Date,
): Promise<void> {
  const leadsOf = async (id: string) => (await findMeeting(db, fact.workspaceId, id))?.leadIds;
  const leadIds = (await leadsOf(replaces)) ?? (await leadsOf(fact.meeting.id)) ?? [];
  if (leadIds.length === 0) return;
  const former = { ...fact, lead: {}, meeting: { ...fact.meeting, id: replaces } };
  await apply(db, { fact: former, status: "cancelled", now, leadIds });
}

interface Said extends Pick<Meant, "leadIds"> {
  readonly fact: MeetingFact;
  readonly status: AppointmentStatus;
  readonly now: Date;
  /** Another meeting whose leads have this one too. */
  readonly alsoOf?: string | undefined;
}

/** Applies what is said of a meeting to every lead of it, and starts sequences for one of them. */
async function apply(db: Queryable, said: Said): Promise<FactOutcome> {
  const { fact, status, now } = said;
  const known = await findMeeting(db, fact.workspaceId, fact.meeting.id);
  const found = await leadsOf(db, said, known);
  if (isRefused(found)) return found;
  const { news, latest } = await store(db, said, known, found.leads);
  const told = { fact, status, now, endsAt: latest?.endsAt ?? null };
  const ended = { ...NOTHING_ENDED };
  const starting: FoundLead[] = [];
  for (const lead of found.leads) {
    const effect = await effectOn(db, { ...told, known: stateBefore(known, found.leads, lead) }, { lead, known, news });
    await keepStopCause(db, lead);
    ended.ended += effect.ended;
    ended.cancelledTouches += effect.cancelledTouches;
    if (effect.starting) starting.push({ ...lead, ...effect.starting });
  }
  if (!news) return { outcome: "stale", ...ended, ...createdBy(found) };
  const started = await start(db, { ...told, known: known?.state ?? null }, starting);
  const warnings = started > 0 ? zoneWarnings(starting) : [];
  return { outcome: "applied", ...ended, started, ...createdBy(found), ...(warnings.length > 0 && { warnings }) };
}

const zoneWarnings = (leads: readonly FoundLead[]): readonly string[] =>
  leads
    .filter(({ timeZone }) => timeZone !== null && !isTimeZone(timeZone))
    .map(({ id }) => `lead ${id}: time_zone is not a time zone; its steps are held`);

/** Stores the later of what is said and what is known. Says which it is. */
async function store(
  db: Queryable,
  said: Said,
  known: KnownMeeting | null,
  leads: readonly FoundLead[],
): Promise<{ readonly news: boolean; readonly latest: MeetingState | null }> {
  const { workspaceId, meeting, occurredAt } = said.fact;
  const state = stateToldBy(said, known);
  const news = state === null || isNews(state, known?.state ?? null);
  const latest = news ? state : (known?.state ?? null);
  if (latest === null) return { news, latest };
  const confirmedAt = said.status === "confirmed" ? occurredAt : (known?.confirmedAt ?? null);
  const leadIds = leads.map(({ id }) => id);
  await recordMeeting(db, { workspaceId, id: meeting.id, leadIds, state: latest, confirmedAt, isNews: news });
  return { news, latest };
}

/** Null where no time of the meeting is known: then it is not stored, and the status alone books. */
function stateToldBy({ fact, status }: Said, known: KnownMeeting | null): MeetingState | null {
  const startsAt = fact.meeting.startsAt ?? known?.state.startsAt;
  const endsAt = fact.meeting.endsAt ?? known?.state.endsAt;
  return startsAt && endsAt ? { status, startsAt, endsAt, lastEventAt: fact.occurredAt } : null;
}

/** A confirmation is also about leads that the meeting did not have; anything else only about those that it has. */
async function leadsOf(
  db: Queryable,
  { fact, status, alsoOf, leadIds = [] }: Said,
  known: KnownMeeting | null,
): Promise<FoundLeads | Refused> {
  const { workspaceId, lead, meeting } = fact;
  const meant = { workspaceId, lead, leadIds, meetingIds: [meeting.id, ...(alsoOf === undefined ? [] : [alsoOf])] };
  if (status === "confirmed" || !known) {
    const found = await findOrAddLeads(db, meant);
    if (!known || !isRefused(found)) return found;
  }
  const leads = await findLeads(db, meant);
  return { leads: leads.filter(({ id }) => known?.leadIds.includes(id)), created: 0 };
}

/** What the meeting was for this lead. Where it moved to another person altogether, it is new to that person. */
function stateBefore(known: KnownMeeting | null, leads: readonly FoundLead[], { id }: FoundLead): MeetingState | null {
  if (!known) return null;
  const isKnown = (lead: Pick<FoundLead, "id">) => known.leadIds.includes(lead.id);
  const moved = !leads.some((lead) => lead.named && isKnown(lead));
  return moved && !isKnown({ id }) ? null : known.state;
}

interface Situation {
  readonly lead: FoundLead;
  readonly known: KnownMeeting | null;
  readonly news: boolean;
}

async function effectOn(db: Queryable, told: Told, { lead, known, news }: Situation): Promise<Effect> {
  if (news) return await (told.status === "confirmed" ? book : leave)(db, told, lead);
  const joins = !known?.leadIds.includes(lead.id) && known?.state.status === "confirmed";
  if (joins) return await book(db, told, lead);
  return { ...(await endWhatItWouldHave(db, told, lead)), starting: null };
}

/** Strict to send: a fact that had to be repaired, or a booking without a time, starts nothing. */
async function start(db: Queryable, told: Told, leads: readonly FoundLead[]): Promise<number> {
  const { fact, status, now, endsAt } = told;
  const lead = await mostInvolved(db, leads);
  if (!lead) return 0;
  const { workspaceId, occurredAt } = fact;
  if (status === "confirmed") await notify(db, "meeting_booked", { workspaceId, leadIds: [lead.id], now });
  if (fact.warnings.length > 0 || (status === "confirmed" && endsAt === null)) return 0;
  const trigger = status === "confirmed" ? "meeting_selected" : "meeting_missed";
  return await startOn(db, trigger, lead, { workspaceId, now, startedAt: occurredAt });
}
