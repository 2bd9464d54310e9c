import type { AppointmentStatus } from "../../domain/labels.ts";
import { isNews, type MeetingState } from "../../domain/meeting.ts";
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
  NOTHING_ENDED,
  startForOne,
  type Told,
} from "./meeting-effects.ts";
import { findMeeting, type KnownMeeting, recordMeeting } from "./meeting-rows.ts";
import { notify } from "./notify.ts";
import { takeInOnce } from "./take-in.ts";

/** A lead has booked: what chased the meeting ends in the same transaction, and post-booking sequences start. */
export const meetingBooked = (db: Transactional, fact: FactOf<"meeting.booked">): Promise<FactOutcome> =>
  takeInOnce(db, fact, (transaction, now) => apply(transaction, { fact, status: "confirmed", now }));

/** A meeting has another time, and maybe another id. Post-booking sequences go on; they start where no booking was known. */
export const meetingRescheduled = (db: Transactional, fact: FactOf<"meeting.rescheduled">): Promise<FactOutcome> =>
  takeInOnce(db, fact, async (transaction, now) => {
    const { replaces } = fact;
    const outcome = await apply(transaction, { fact, status: "confirmed", now, alsoOf: replaces });
    if (outcome.outcome !== "refused" && replaces !== undefined) await cancelReplaced(transaction, fact, replaces, now);
    return outcome;
  });

/** A meeting will not take place: the lead leaves `meeting-booked`. Nothing that was ended starts again by itself. */
export const meetingCancelled = (db: Transactional, fact: FactOf<"meeting.cancelled">): Promise<FactOutcome> =>
  takeInOnce(db, fact, (transaction, now) => apply(transaction, { fact, status: "cancelled", now }));

/** The lead did not come: it leaves `meeting-booked`, and sequences with the trigger `meeting_missed` start. */
export const meetingMissed = (db: Transactional, fact: FactOf<"meeting.missed">): Promise<FactOutcome> =>
  takeInOnce(db, fact, (transaction, now) => apply(transaction, { fact, status: "missed", now }));

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
  const { startsAt, endsAt } = fact.meeting;
  const state: MeetingState = { status, startsAt, endsAt, lastEventAt: fact.occurredAt };
  const news = isNews(state, known?.state ?? null);
  const latest = news || !known ? state : known.state;
  await recordMeeting(db, {
    workspaceId: fact.workspaceId,
    id: fact.meeting.id,
    leadIds: found.leads.map(({ id }) => id),
    state: latest,
    confirmedAt: status === "confirmed" ? fact.occurredAt : (known?.confirmedAt ?? null),
    isNews: news,
  });
  const told = { fact, status, now, endsAt: latest.endsAt };
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
  return { outcome: "applied", ...ended, started, ...createdBy(found) };
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

async function start(db: Queryable, told: Told, leads: readonly FoundLead[]): Promise<number> {
  if (leads.length === 0) return 0;
  const trigger = told.status === "confirmed" ? "meeting_selected" : "meeting_missed";
  const { lead, started } = await startForOne(db, trigger, leads, told);
  if (trigger === "meeting_selected" && lead) {
    await notify(db, "meeting_booked", { workspaceId: told.fact.workspaceId, leadIds: [lead.id], now: told.now });
  }
  return started;
}
