import * as z from "zod";
import { enrolmentVerdict } from "../../domain/enrolment.ts";
import { CHANNELS, type CONTACT_CHANNELS } from "../../domain/labels.ts";
import { lastTouchColumn } from "../columns.ts";
import { storedInstant } from "../rows.ts";
import { empty, many, one, type Queryable, type Sql, sql } from "../sql.ts";
import { cancelUnsentTouches } from "../unsent-touches.ts";
import { readEnrolmentFacts } from "./enrol.ts";
import {
  type Ended,
  endInstances,
  lockStartableSequences,
  NOTHING_ENDED,
  type StartableSequence,
  startInstances,
} from "./instances.ts";
import type { FoundLead } from "./leads.ts";
import { chooseLeadToStart } from "./meeting-effects.ts";

const stateRow = z.object({
  id: z.guid(),
  /** Whether the lead's last reply became answered by this fact. */
  newlyAnswered: z.boolean(),
  /** The latest contact by a person on our side. */
  contactedAt: storedInstant.nullable(),
});
type ConversationState = z.infer<typeof stateRow>;

type Leads = readonly Pick<FoundLead, "id">[];

/** Records a reply of locked leads. */
export const recordReply = (db: Queryable, leads: Leads, at: Date): Promise<readonly ConversationState[]> =>
  record(
    db,
    leads,
    sql`last_inbound_at = greatest(lead.last_inbound_at, ${at}::timestamptz),
        first_inbound_at = least(lead.first_inbound_at, lead.last_inbound_at, ${at}::timestamptz)`,
  );

interface Contact {
  readonly channel: (typeof CONTACT_CHANNELS)[number];
  readonly at: Date;
}

/** Records a contact of locked leads. The gap and the channel's daily limit count it like a touch. */
export function recordContact(
  db: Queryable,
  leads: Leads,
  { channel, at }: Contact,
): Promise<readonly ConversationState[]> {
  const own = CHANNELS.find((one) => one === channel);
  const onChannel = own
    ? sql`, ${lastTouchColumn(own)} = greatest(lead.${lastTouchColumn(own)}, ${at}::timestamptz)`
    : empty;
  return record(
    db,
    leads,
    sql`last_outbound_at = greatest(lead.last_outbound_at, ${at}::timestamptz),
        last_contacted_at = greatest(lead.last_contacted_at, ${at}::timestamptz)${onChannel}`,
  );
}

async function record(db: Queryable, leads: Leads, changes: Sql): Promise<readonly ConversationState[]> {
  return await many(db, stateRow)`
    with before as materialized (
      select id, last_inbound_at, last_contacted_at from lead where id = any(${leads.map(({ id }) => id)}::uuid[]))
    update lead set ${changes}
      from before
     where lead.id = before.id
    returning lead.id, lead.last_contacted_at as "contactedAt",
              coalesce(lead.last_contacted_at >= lead.last_inbound_at, false)
              and (before.last_contacted_at >= before.last_inbound_at
                   and before.last_inbound_at = lead.last_inbound_at) is not true as "newlyAnswered"`;
}

export const latestContact = (states: readonly ConversationState[]): Date | null =>
  states.reduce<Date | null>(
    (latest, { contactedAt }) =>
      contactedAt !== null && (latest === null || contactedAt > latest) ? contactedAt : latest,
    null,
  );

interface Affected {
  readonly workspaceId: string;
  readonly states: readonly ConversationState[];
  readonly now: Date;
}

/**
 * Pauses instances that started before a reply that is newly answered, as a decision in between would have done.
 * Otherwise the next step would go out during a conversation. Post-booking sequences continue, because their steps
 * depend on the meeting.
 */
export async function pauseAnswered(db: Queryable, { workspaceId, states, now }: Affected): Promise<Ended> {
  const leadIds = states.filter(({ newlyAnswered }) => newlyAnswered).map(({ id }) => id);
  if (leadIds.length === 0) return NOTHING_ENDED;
  return await one(db, z.object({ ended: z.int(), cancelledTouches: z.int() }))`
    with interrupted as materialized (
      select instance.id, instance.status
        from follow_up_instance as instance
        join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
        join workspace on workspace.id = instance.workspace_id
       where instance.workspace_id = ${workspaceId}::uuid and instance.lead_id = any(${leadIds}::uuid[])
         and instance.status in ('active', 'completed') and not instance.post_booking
         and instance.started_at <= lead.last_inbound_at
         and lead.last_contacted_at > ${now}::timestamptz - make_interval(hours => 24 * workspace.ghosted_after_days)
       order by instance.id
         for no key update of instance),
    paused as (
      update follow_up_instance
         set status = 'paused', paused_reason = 'lead_replied', next_step_due = null, recheck_at = ${now}
       where id = any(array(select id from interrupted where status = 'active'))),
    ${cancelUnsentTouches({ instanceIds: sql`array(select id from interrupted)`, reason: sql`'lead_replied'`, now })}
    select 0 as ended, count(*)::int as "cancelledTouches" from cancelled`;
}

/** Ends the sequences for leads without a reply that started after a reply which is known only now. */
export async function endUnanswered(
  db: Queryable,
  { workspaceId, states, repliedAt, now }: Affected & { readonly repliedAt: Date },
): Promise<Ended> {
  if (states.length === 0) return NOTHING_ENDED;
  const which = { trigger: "no_response", startedSince: repliedAt } as const;
  const leadIds = states.map(({ id }) => id);
  return await endInstances(db, { workspaceId, leadIds, which, status: "cancelled", reason: "had_replied", now });
}

/** An older contact is history that a system loads, not news. */
const OLDEST_NEWS_MS = 30 * 24 * 60 * 60_000;

interface Contacted {
  readonly workspaceId: string;
  /** All leads of the person, locked. */
  readonly leads: readonly FoundLead[];
  readonly contactedAt: Date;
  readonly now: Date;
}

const conversationRow = z.object({
  hadWritten: z.boolean(),
  isFollowed: z.boolean(),
  /** The last reply before the contact; null if the last reply came after it. */
  repliedAt: storedInstant.nullable(),
});

/**
 * Starts the sequences that follow a contact: with the trigger `setter_reply` if the person had written before it.
 * Otherwise with `no_response`, if the person is in no sequence. Starts them for one lead of the person, and only if
 * each of its leads may enter. A sequence never starts a second time, except `setter_reply` after another reply: an
 * own touch that another system reports as a contact starts nothing again. Returns the number started.
 */
export async function startAfterContact(db: Queryable, contacted: Contacted): Promise<number> {
  const { workspaceId, leads, contactedAt, now } = contacted;
  if (now.getTime() - contactedAt.getTime() > OLDEST_NEWS_MS) return 0;
  const { hadWritten, isFollowed, repliedAt } = await readConversation(db, contacted);
  if (!hadWritten && isFollowed) return 0;
  const lead = await chooseLeadToStart(db, leads);
  if (!lead) return 0;
  let started = 0;
  const trigger = hadWritten ? "setter_reply" : "no_response";
  for (const sequence of await lockStartableSequences(db, workspaceId, { trigger })) {
    const restart = repliedAt !== null && (await endedBefore(db, sequence, leads, repliedAt));
    if (!(await mayEnter(db, sequence, contacted, restart))) continue;
    started += await startInstances(db, sequence, [lead], { now, startedAt: contactedAt });
  }
  return started;
}

async function readConversation(db: Queryable, { workspaceId, leads, contactedAt }: Contacted) {
  const leadIds = leads.map(({ id }) => id);
  return await one(db, conversationRow)`
    select coalesce(bool_or(least(first_inbound_at, last_inbound_at) <= ${contactedAt}), false) as "hadWritten",
           max(last_inbound_at) filter (where last_inbound_at <= ${contactedAt}) as "repliedAt",
           exists (select from follow_up_instance
                    where workspace_id = ${workspaceId}::uuid and lead_id = any(${leadIds}::uuid[])
                      and status in ('active', 'paused')) as "isFollowed"
      from lead
     where id = any(${leadIds}::uuid[])`;
}

/** Whether the person is no longer in the sequence, and started it last before the reply. */
async function endedBefore(
  db: Queryable,
  sequence: StartableSequence,
  leads: Leads,
  repliedAt: Date,
): Promise<boolean> {
  const { ended } = await one(db, z.object({ ended: z.boolean() }))`
    select not exists (
      select from follow_up_instance
       where workspace_id = ${sequence.workspaceId}::uuid and lead_id = any(${leads.map(({ id }) => id)}::uuid[])
         and sequence_id = ${sequence.id}::uuid
         and (status in ('active', 'paused') or started_at >= ${repliedAt})) as ended`;
  return ended;
}

async function mayEnter(
  db: Queryable,
  sequence: StartableSequence,
  { leads, contactedAt }: Contacted,
  restart: boolean,
): Promise<boolean> {
  const leadIds = leads.map(({ id }) => id);
  const facts = await readEnrolmentFacts(db, { occurredAt: contactedAt }, sequence, leadIds);
  return [...facts.values()].every((lead) => enrolmentVerdict(lead, { ...sequence, restart }) === "enrolled");
}
