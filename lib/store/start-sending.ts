import * as z from "zod";
import { CHANNELS } from "../domain/labels.ts";
import { withoutOfferMarks } from "../domain/late-values.ts";
import { ownSenderOf, SENDER_KEYS } from "../domain/sender.ts";
import type { OutgoingTouch } from "../run/channel-ports.ts";
import type { ClosedChannel } from "../run/claim-ports.ts";
import {
  CHANNEL_CLOSED,
  type EndedTouch,
  type Lease,
  OFFER_UNCHECKED,
  type StartedSending,
} from "../run/delivery-ports.ts";
import { byAddress, CHANNEL_IS_KNOWN, lastTouchesBy, leadColumnsAs } from "./columns.ts";
import { CONTACT_BLOCK } from "./contact-rule.ts";
import { insertTouchEvents } from "./digests.ts";
import { offerIsUnchecked } from "./offered-times.ts";
import { storedInstant, storedInstantOrNull } from "./rows.ts";
import { many, type Queryable, raw, type Sql, sql } from "./sql.ts";
import { flagSuppressed, RECIPIENT_HASH, SUPPRESSED_NOW } from "./suppressions.ts";
import { ALL_TWINS_LOCKED, lockTwins, REACHED_AT } from "./twins.ts";

const judgedRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  leadId: z.guid(),
  channel: z.enum(CHANNELS),
  failures: z.int(),
  deferredSince: storedInstantOrNull,
  waitingSince: storedInstant,
  subject: z.string().nullable(),
  body: z.string(),
  fate: z.enum(["start", "cancel", "expire", "doubt", "wait"]),
  why: z.string().nullable(),
  unflagged: z.boolean(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  senderName: z.string().nullable(),
  senderEmail: z.string().nullable(),
  replyTo: z.string().nullable(),
  from: z.string(),
  thread: z.array(z.string()),
});
type JudgedRow = z.infer<typeof judgedRow>;

const OWN_SENDER = leadColumnsAs(SENDER_KEYS);

const UNDELIVERABLE = byAddress(sql`touch.channel`, (kind) => sql`lead.${raw(kind)}_undeliverable`);

/** Why `touch` may no longer be sent, given `lead` and `instance`; null if it may. */
export const CANCEL_REASON = sql`
  coalesce(${CONTACT_BLOCK},
    case when not lead.automation_enabled then 'automation_off'
         when lead.last_inbound_at > coalesce(
                case when lead.last_outbound_at = touch.last_attempt_at then touch.expected_outbound_at
                     else lead.last_outbound_at end, '-infinity') then 'lead_replied'
         when instance.status = 'cancelled' or instance.generation <> touch.generation then 'instance_cancelled'
         when ${UNDELIVERABLE} then 'undeliverable_address'
    end)`;

/**
 * The Message-IDs of the instance's earlier e-mails in this generation, oldest first. The `case` hides the channel from the
 * planner, which otherwise reads the whole index `touch_email_provider_id` while the statistics know of no sent e-mail.
 */
export const threadOf = (touch: Sql): Sql => sql`
  array(
    select earlier.provider_id from touch as earlier
     where earlier.instance_id = ${touch}.instance_id and earlier.generation = ${touch}.generation
       and case when earlier.channel = 'email' then true end and earlier.provider_id is not null
     order by earlier.sent_at)`;

/**
 * Moves claimed touches to `sending`, to `cancelled` if the lead may no longer be contacted, or to `expired`. Instead
 * of the last two, uses `unknown` if an earlier attempt may have arrived. Locks the lead in the same statement: a
 * booking is either committed and visible here, or commits after the touch started.
 *
 * Starts at most one touch per lead. Starts none if another started since this one was decided or last tried, or if
 * the send window has closed. Those stay claimed and are returned as `waiting`. Skips leads that another transaction
 * holds, so it never waits for a lock.
 *
 * A failed attempt does not count as our answer. If the lead replied before it, the retry is cancelled, before the
 * lead's other touches are judged. Removes the attempt's stamp from the lead, so that the reply holds its other
 * touches too.
 *
 * Checks the status on locked rows only, and reads workspace and sequence by subquery: otherwise the planner
 * underestimates claimed touches and chooses nested loops.
 */
export async function startSending(db: Queryable, touchIds: readonly string[], lease: Lease): Promise<StartedSending> {
  const judged = await many(db, judgedRow)`
    with ${lockTwins(touchIds)},
    judged as materialized (
      select touch.id, touch.workspace_id, touch.instance_id, touch.lead_id, touch.generation, touch.channel,
             touch.status, touch.next_attempt_at, touch.unknown_attempt_at, touch.attempts, touch.failures,
             touch.deferred_since, touch.subject, touch.body,
             lead.last_outbound_at = touch.last_attempt_at as tried_last, lead.email, lead.phone, ${OWN_SENDER},
             lead.last_email_at, lead.last_outbound_at, ${RECIPIENT_HASH} as recipient_hash, touch.expires_at <= ${lease.now} as too_old,
             ${CANCEL_REASON} as stop, ${SUPPRESSED_NOW} as suppressed,
             case when (select paused_at from workspace where id = touch.workspace_id) is not null
                    then 'workspace_paused'
                  when not (select active from follow_up_sequence where id = instance.sequence_id)
                    then 'sequence_inactive'
                  when instance.paused_reason = 'manual' then 'instance_paused'
                  when lead.snoozed_until > ${lease.now} then 'lead_snoozed'
                  when ${REACHED_AT} is distinct from touch.expected_outbound_at
                   and ${REACHED_AT} is distinct from touch.last_attempt_at then 'too_soon'
                  when touch.send_until is null or touch.send_until <= ${lease.now} then 'outside_send_window'
                  when ${isClosed(lease.closed ?? [])} then ${CHANNEL_CLOSED}
                  when touch.offer_until is not null then case when ${offerIsUnchecked(lease.now)} then ${OFFER_UNCHECKED} end
             end as wait,
             ${ALL_TWINS_LOCKED} as all_twins_locked
        from touch
        join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
        join follow_up_instance as instance on instance.id = touch.instance_id
       where touch.id = any(${[...touchIds]}::uuid[]) and case when ${CHANNEL_IS_KNOWN} then true end
         for no key update of lead, touch skip locked),
    in_turn as (
      select judged.*, coalesce(stop, suppressed) as ends,
             greatest(
               row_number() over (partition by lead_id order by stop is distinct from 'lead_replied', id),
               row_number() over (partition by coalesce(recipient_hash, lead_id::text::bytea)
                                      order by coalesce(stop, suppressed, wait) is null and too_old is not true desc, id)) as turn
        from judged
       where status = 'claimed' and next_attempt_at <= ${lease.now} and all_twins_locked),
    fated as materialized (
      select *, coalesce(ends, wait, case when turn > 1 then 'too_soon' end) as why,
             case when (ends is not null or too_old) and unknown_attempt_at is not null then 'doubt'
                  when ends is not null then 'cancel' when too_old then 'expire'
                  when wait is not null or turn > 1 then 'wait' else 'start' end as fate
        from in_turn),
    moved as (
      update touch
         set status = case fate when 'start' then 'sending' when 'cancel' then 'cancelled' when 'expire' then 'expired' else 'unknown' end::touch_status,
             reason = case when fate <> 'start' then why end, next_attempt_at = null,
             recheck_at = case when fate = 'start' then greatest(touch.recheck_at, ${lease.until}::timestamptz) end,
             attempts = case when fate = 'start' then least(touch.attempts, 2147483646) + 1 else touch.attempts end,
             last_attempt_at = case when fate = 'start' then greatest(fated.last_outbound_at, ${lease.now}::timestamptz)
                             else touch.last_attempt_at end,
             recipient_hash = case when fate = 'start' then fated.recipient_hash else touch.recipient_hash end
        from fated
       where touch.id = fated.id and fate <> 'wait'
      returning touch.id, touch.workspace_id, fate, touch.lead_id, fate = 'start' or (why = 'lead_replied' and tried_last) as stamps,
                case when fate = 'start' then touch.channel end as channel,
                case when fate = 'start' then touch.last_attempt_at else touch.expected_outbound_at end as last_outbound_at),
    reached as (
      update lead
         set last_outbound_at = moved.last_outbound_at,
             ${lastTouchesBy(sql`moved.channel`, lease.now)}
        from moved
       where lead.id = moved.lead_id and moved.stamps),
    event as (${insertTouchEvents("touch_unknown", lease.now, sql`from moved where fate = 'doubt'`)})
    select id, workspace_id as "workspaceId", lead_id as "leadId", channel::text, failures,
           deferred_since as "deferredSince", next_attempt_at as "waitingSince", subject, body, fate, why, email, phone,
           "senderName", "senderEmail", "replyTo",
           stop is null and suppressed is not null as unflagged,
           (select email_from from workspace where id = fated.workspace_id) as "from",
           case when channel = 'email' and last_email_at is not null and fate = 'start' then ${threadOf(sql`fated`)} else '{}' end as thread
      from fated
     order by id`;
  const unflagged = judged.filter((row) => row.unflagged).map((row) => row.leadId);
  if (unflagged.length > 0) await flagSuppressed(db, unflagged);
  return {
    started: judged.filter(({ fate }) => fate === "start").map(outgoingTouch),
    cancelled: withFate(judged, "cancel"),
    expired: withFate(judged, "expire"),
    unknown: withFate(judged, "doubt"),
    waiting: withFate(judged, "wait"),
  };
}

const isClosed = (closed: readonly ClosedChannel[]): Sql => {
  if (closed.length === 0) return sql`false`;
  return sql`exists (
    select from unnest(
      ${closed.map(({ channel }) => channel)}::text[],
      ${closed.map(({ workspaceId }) => workspaceId)}::uuid[]) as closed (channel, workspace_id)
     where closed.channel = touch.channel::text and coalesce(closed.workspace_id = touch.workspace_id, true))`;
};

const withFate = (judged: readonly JudgedRow[], wanted: JudgedRow["fate"]): EndedTouch[] =>
  judged.flatMap(({ id, fate, why }) => (fate === wanted ? [{ touchId: id, reason: why ?? fate }] : []));

const outgoingTouch = (row: JudgedRow): OutgoingTouch => ({
  id: row.id,
  workspaceId: row.workspaceId,
  leadId: row.leadId,
  channel: row.channel,
  failures: row.failures,
  deferredSince: row.deferredSince,
  waitingSince: row.waitingSince,
  from: row.from,
  ownSender: ownSenderOf(row),
  email: row.email,
  phone: row.phone,
  message: { subject: row.subject, body: withoutOfferMarks(row.body) },
  thread: row.thread,
});
