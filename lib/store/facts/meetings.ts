import type { AppointmentStatus } from "../../domain/labels.ts";
import { isNews, type MeetingState } from "../../domain/meeting.ts";
import { isTimeZone, MINUTE_MS } from "../../domain/time-zone.ts";
import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { insertLeadEvents } from "../digests.ts";
import type { Queryable, Transactional } from "../sql.ts";
import { applyOnce } from "./apply-once.ts";
import { addEnded, NOTHING_ENDED, startOn } from "./instances.ts";
import {
  createdBy,
  type FoundLead,
  type FoundLeads,
  findOrAddLeads,
  isRefused,
  type LeadsToFind,
  leadsNamedBy,
  type RefusedFact,
} from "./leads.ts";
import {
  applyBooking,
  applyLateBooking,
  applyUnbooking,
  chooseLeadToStart,
  type Effect,
  findMeeting,
  type KnownMeeting,
  type MeetingChange,
  type MeetingFact,
  recordMeeting,
  restoreStopCause,
} from "./meeting-effects.ts";

/** Books the lead, completes its other sequences and starts post-booking ones, in one transaction. */
export const meetingBooked = (db: Transactional, given: FactOf<"meeting.booked">): Promise<FactOutcome> =>
  applyOnce(db, given, (transaction, now, fact) => apply(transaction, { fact, status: "confirmed", now }));

/**
 * Moves a meeting to another time, and possibly another id. Post-booking sequences continue, or start if no booking was
 * known.
 */
export const meetingRescheduled = (db: Transactional, given: FactOf<"meeting.rescheduled">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { replaces } = fact;
    const outcome = await apply(transaction, { fact, status: "confirmed", now, alsoOf: replaces });
    // A new meeting without an end of its own does not replace the former one, which still counts.
    const isStored = outcome.outcome !== "refused" && fact.meeting.endsAt !== null;
    if (isStored && replaces !== undefined) await cancelReplaced(transaction, fact, replaces, now);
    return outcome;
  });

/** Cancels a meeting and unbooks its leads. Sequences that the booking ended do not restart. */
export const meetingCancelled = (db: Transactional, given: FactOf<"meeting.cancelled">): Promise<FactOutcome> =>
  applyOnce(db, given, (transaction, now, fact) => apply(transaction, { fact, status: "cancelled", now }));

/** Records a no-show: unbooks the leads and starts sequences with the trigger `meeting_missed`. */
export const meetingMissed = (db: Transactional, given: FactOf<"meeting.missed">): Promise<FactOutcome> =>
  applyOnce(db, given, (transaction, now, fact) => apply(transaction, { fact, status: "missed", now }));

/** Cancels the replaced meeting. An unknown one is stored as cancelled, because its booking may still arrive. */
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

interface MeetingFactToApply extends Pick<LeadsToFind, "leadIds"> {
  readonly fact: MeetingFact;
  readonly status: AppointmentStatus;
  readonly now: Date;
  /** Another meeting whose leads also have this one. */
  readonly alsoOf?: string | undefined;
}

/** Applies a meeting fact to every lead of the meeting, and starts sequences for one of them. */
async function apply(db: Queryable, given: MeetingFactToApply): Promise<FactOutcome> {
  const { fact, status, now } = given;
  const known = await findMeeting(db, fact.workspaceId, fact.meeting.id);
  const found = await leadsOf(db, given, known);
  if (isRefused(found)) return found;
  const { news, latest } = await storeMeeting(db, given, known, found.leads);
  const change = { fact, status, now, endsAt: latest?.endsAt ?? null };
  let ended = NOTHING_ENDED;
  const starting: FoundLead[] = [];
  for (const lead of found.leads) {
    const effect = await effectOn(
      db,
      { ...change, known: stateBefore(known, found.leads, lead) },
      { lead, known, news },
    );
    await restoreStopCause(db, lead);
    ended = addEnded(ended, effect);
    if (effect.starting) starting.push({ ...lead, ...effect.starting });
  }
  if (!news) return { outcome: "stale", ...ended, ...createdBy(found) };
  const started = await startForOne(db, { ...change, known: known?.state ?? null }, starting);
  const warnings = started > 0 ? zoneWarnings(starting) : [];
  return { outcome: "applied", ...ended, started, ...createdBy(found), ...(warnings.length > 0 && { warnings }) };
}

const zoneWarnings = (leads: readonly FoundLead[]): readonly string[] =>
  leads
    .filter(({ timeZone }) => timeZone !== null && !isTimeZone(timeZone))
    .map(({ id }) => `lead ${id}: time_zone is not a time zone; its steps are held`);

/** Stores the later of the new and the known state. `news` is false if the fact is stale. */
async function storeMeeting(
  db: Queryable,
  given: MeetingFactToApply,
  known: KnownMeeting | null,
  leads: readonly FoundLead[],
): Promise<{ readonly news: boolean; readonly latest: MeetingState | null }> {
  const { workspaceId, meeting, occurredAt } = given.fact;
  const state = stateAfter(given, known);
  const news = state === null || isNews(state, known?.state ?? null);
  const latest = news ? state : (known?.state ?? null);
  if (latest === null) return { news, latest };
  const confirmedAt = given.status === "confirmed" ? occurredAt : (known?.confirmedAt ?? null);
  const leadIds = leads.map(({ id }) => id);
  await recordMeeting(db, { workspaceId, id: meeting.id, leadIds, state: latest, confirmedAt, isNews: news });
  return { news, latest };
}

/**
 * Null if no time of a confirmed meeting is known: it is then not stored, and the lead's status alone books it. One that
 * does not take place is stored with the time of the fact instead, because its booking may still arrive.
 */
function stateAfter({ fact, status }: MeetingFactToApply, known: KnownMeeting | null): MeetingState | null {
  const lastEventAt = fact.occurredAt;
  const startsAt = fact.meeting.startsAt ?? known?.state.startsAt;
  const endsAt = fact.meeting.endsAt ?? known?.state.endsAt;
  if (startsAt && endsAt) return { status, startsAt, endsAt, lastEventAt };
  if (status === "confirmed") return null;
  return { status, startsAt: new Date(lastEventAt.getTime() - MINUTE_MS), endsAt: lastEventAt, lastEventAt };
}

/** A confirmation may add leads to the meeting; any other fact applies only to leads that it already has. */
async function leadsOf(
  db: Queryable,
  { fact, status, alsoOf, leadIds = [] }: MeetingFactToApply,
  known: KnownMeeting | null,
): Promise<FoundLeads | RefusedFact> {
  const { workspaceId, lead, meeting } = fact;
  const wanted = { workspaceId, lead, leadIds, meetingIds: [meeting.id, ...(alsoOf === undefined ? [] : [alsoOf])] };
  if (status === "confirmed" || !known) {
    const found = await findOrAddLeads(db, wanted);
    if (!known || !isRefused(found)) return found;
  }
  const leads = await leadsNamedBy(db, wanted);
  return { leads: leads.filter(({ id }) => known?.leadIds.includes(id)), created: 0 };
}

/** The meeting's state before the fact. Null for a new lead if the meeting moved to another person. */
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

async function effectOn(db: Queryable, change: MeetingChange, { lead, known, news }: Situation): Promise<Effect> {
  if (news) return await (change.status === "confirmed" ? applyBooking : applyUnbooking)(db, change, lead);
  const joins = !known?.leadIds.includes(lead.id) && known?.state.status === "confirmed";
  if (joins) return await applyBooking(db, change, lead);
  return { ...(await applyLateBooking(db, change, lead)), starting: null };
}

/**
 * Starts sequences for one lead and returns their number. A fact with warnings, or a booking without an end, starts
 * none.
 */
async function startForOne(db: Queryable, change: MeetingChange, leads: readonly FoundLead[]): Promise<number> {
  const { fact, status, now, endsAt } = change;
  const lead = await chooseLeadToStart(db, leads);
  if (!lead) return 0;
  const { workspaceId, occurredAt } = fact;
  if (status === "confirmed") await insertLeadEvents(db, "meeting_booked", { workspaceId, leadIds: [lead.id], now });
  if (fact.warnings.length > 0 || (status === "confirmed" && endsAt === null)) return 0;
  const trigger = status === "confirmed" ? "meeting_selected" : "meeting_missed";
  return await startOn(db, trigger, lead, { workspaceId, now, startedAt: occurredAt });
}
