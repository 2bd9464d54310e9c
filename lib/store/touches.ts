import * as z from "zod";
import { CHANNELS, REPEATABLE_CHANNELS } from "../domain/labels.ts";
import type {
  BatchQuery,
  Lease,
  OutgoingTouch,
  Settlement,
  StartedSending,
  ToSendPage,
  TouchCursor,
} from "../run/ports.ts";
import type { Db } from "./connect.ts";

const startedRow = z.object({
  id: z.uuid(),
  workspace_id: z.uuid(),
  lead_id: z.uuid(),
  channel: z.enum(CHANNELS),
  attempts: z.int(),
  subject: z.string().nullable(),
  body: z.string(),
  stop: z.string().nullable(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  email_from: z.string(),
});
type StartedRow = z.infer<typeof startedRow>;

/**
 * Moves claimed touches to `sending`, or to `cancelled` where the lead may no longer be contacted. The lead is locked in
 * the same statement: a booking is either committed, and seen here, or commits after the touch began to be sent. A lead
 * that somebody is changing at this moment is passed over, and its touch stays claimed; so nobody ever waits here.
 */
export async function startSending(db: Db, touchIds: readonly string[], lease: Lease): Promise<StartedSending> {
  const rows = await db.$queryRaw`
    with locked_lead as materialized (
      select lead.*
        from lead
       where lead.id in (select lead_id from touch where id = any(${[...touchIds]}::uuid[]) and status = 'claimed')
       order by lead.id
         for no key update skip locked),
    judged as materialized (
      select touch.id, touch.lead_id, lead.email, lead.phone, workspace.email_from,
             case when lead.is_booked and not instance.post_booking then 'meeting_booked'
                  when lead.opted_out_at is not null then 'opted_out'
                  when lead.status in ('blacklisted', 'unqualified', 'not-interested')
                    then replace(lead.status::text, '-', '_')
                  when not lead.automation_enabled then 'automation_off'
                  when lead.last_inbound_at > coalesce(lead.last_outbound_at, '-infinity') then 'lead_replied'
                  when instance.status = 'cancelled' or instance.generation <> touch.generation
                    then 'instance_cancelled'
             end as stop
        from touch
        join locked_lead as lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
        join follow_up_instance as instance on instance.id = touch.instance_id
        join workspace on workspace.id = touch.workspace_id
       where touch.id = any(${[...touchIds]}::uuid[]) and touch.status = 'claimed' and workspace.paused_at is null
         for no key update of touch skip locked),
    reached as (
      update lead set last_outbound_at = greatest(lead.last_outbound_at, ${lease.now}::timestamptz)
       where lead.id in (select lead_id from judged where stop is null)),
    moved as (
      update touch
         set status = case when stop is null then 'sending' else 'cancelled' end::touch_status, reason = stop,
             next_attempt_at = null, lease_until = case when stop is null then ${lease.until}::timestamptz end,
             attempts = touch.attempts + case when stop is null then 1 else 0 end
        from judged
       where touch.id = judged.id
      returning touch.id, touch.workspace_id, touch.lead_id, touch.channel::text, touch.attempts, touch.subject,
                touch.body, judged.stop, judged.email, judged.phone, judged.email_from)
    select * from moved order by id`;
  const moved = z.array(startedRow).parse(rows);
  return {
    started: moved.filter(({ stop }) => stop === null).map(outgoingTouch),
    cancelled: moved.flatMap(({ id, stop }) => (stop === null ? [] : [{ touchId: id, reason: stop }])),
  };
}

const outgoingTouch = (row: StartedRow): OutgoingTouch => ({
  id: row.id,
  workspaceId: row.workspace_id,
  leadId: row.lead_id,
  channel: row.channel,
  attempts: row.attempts,
  from: row.email_from,
  email: row.email,
  phone: row.phone,
  message: { subject: row.subject, body: row.body },
  thread: [],
});

/** Writes what became of touches. One that is no longer `sending` is left as it is. */
export async function settle(db: Db, settlements: readonly Settlement[], now: Date): Promise<void> {
  if (settlements.length === 0) return;
  await db.$executeRaw`
    update touch
       set status = settled.status::touch_status, reason = settled.reason, provider_id = settled.provider_id,
           next_attempt_at = settled.next_attempt_at, lease_until = null,
           sent_at = case when settled.status = 'sent' then ${now}::timestamptz end
      from unnest(
        ${settlements.map(({ touchId }) => touchId)}::uuid[],
        ${settlements.map(({ status }) => status)}::text[],
        ${settlements.map((settled) => ("reason" in settled ? settled.reason : null))}::text[],
        ${settlements.map((settled) => ("providerId" in settled ? settled.providerId : null))}::text[],
        ${settlements.map((settled) => ("nextAttemptAt" in settled ? settled.nextAttemptAt : null))}::timestamptz[]
      ) as settled (id, status, reason, provider_id, next_attempt_at)
     where touch.id = settled.id and touch.status = 'sending'`;
}

/** Ends, oldest first, leases that ran out: their sender is dead, for a lease is longer than any invocation. */
export async function expireLeases(db: Db, { now, limit, workspaceId }: BatchQuery) {
  const rows = await db.$queryRaw`
    with dead as materialized (
      select id, channel::text = any(${[...REPEATABLE_CHANNELS]}::text[]) as repeatable
        from touch
       where status = 'sending' and lease_until <= ${now}
         and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       order by lease_until
       limit ${limit}
         for no key update skip locked),
    ended as (
      update touch
         set status = case when repeatable then 'claimed' else 'unknown' end::touch_status, reason = 'sender_died',
             lease_until = null, next_attempt_at = case when repeatable then ${now}::timestamptz end
        from dead
       where touch.id = dead.id)
    select count(*) filter (where not repeatable)::int as unknown, count(*) filter (where repeatable)::int as reclaimed
      from dead`;
  return z.tuple([z.object({ unknown: z.int(), reclaimed: z.int() })]).parse(rows)[0];
}

const NIL = "00000000-0000-0000-0000-000000000000";
const toSendRow = z.object({ id: z.uuid(), next_attempt_at: z.date() });

/**
 * Touches that an earlier run claimed and whose time has come, in the order of their next attempts. Nothing of a paused
 * workspace is among them.
 */
export async function findToSend(
  db: Db,
  { now, limit, workspaceId }: BatchQuery,
  after: TouchCursor | null,
): Promise<ToSendPage> {
  const rows = await db.$queryRaw`
    select touch.id, touch.next_attempt_at
      from touch join workspace on workspace.id = touch.workspace_id
     where touch.status = 'claimed' and touch.next_attempt_at <= ${now} and touch.claimed_at < ${now}
       and workspace.paused_at is null
       and (${workspaceId}::uuid is null or touch.workspace_id = ${workspaceId}::uuid)
       and (touch.next_attempt_at, touch.id) > (coalesce(${after?.nextAttemptAt ?? null}::timestamptz, '-infinity'),
                                                ${after?.id ?? NIL}::uuid)
     order by touch.next_attempt_at, touch.id
     limit ${limit}`;
  const found = z.array(toSendRow).parse(rows);
  const last = found.at(-1);
  const end = last && found.length === limit ? { nextAttemptAt: last.next_attempt_at, id: last.id } : null;
  return { touchIds: found.map(({ id }) => id), end };
}
