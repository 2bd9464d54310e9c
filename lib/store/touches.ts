import * as z from "zod";
import { CHANNELS, REPEATABLE_CHANNELS, type TouchStatus } from "../domain/labels.ts";
import type { BatchQuery } from "../run/claim-ports.ts";
import type { Leftover, Rescheduled, SendableWorkspace, Settlement } from "../run/delivery-ports.ts";
import { CHANNEL_IS_KNOWN } from "./columns.ts";
import { insertTouchEvents } from "./digests.ts";
import { storedInstant } from "./rows.ts";
import { column, execute, exists, many, one, type Queryable, type Sql, sql } from "./sql.ts";
import { sentAtAttempt, WENT_OUT } from "./touch-outcomes.ts";

/** Just after this run's `now`, so that this run does not take the touch again; the next run's `now` is later. */
const LATER = (now: Date): Sql => sql`${now}::timestamptz + interval '1 millisecond'`;

const FAILED_OR_UNKNOWN = sql`
  case status when 'failed' then 'touch_failed' else 'touch_unknown' end::notification_kind`;

/**
 * Settles touches and queues digest events for failed and unknown ones. A no-op for touches that are no longer
 * `sending`. A touch whose message is known to have gone out is `sent`, even if its sender saw a fault. The `case`
 * hides the status from the planner, which otherwise underestimates `sending` touches and chooses a nested loop.
 */
export async function settle(db: Queryable, settlements: readonly Settlement[], now: Date): Promise<void> {
  if (settlements.length === 0) return;
  await execute(db)`
    with ended as (
      update touch
         set status = case when ${WENT_OUT} then 'sent' else settled.status end::touch_status,
             reason = case when not ${WENT_OUT} then settled.reason end, provider_id = settled.provider_id,
             next_attempt_at = case when not ${WENT_OUT} then settled.next_attempt_at end,
             recheck_at = case when settled.status = 'claimed' and not ${WENT_OUT} then greatest(settled.next_attempt_at, ${LATER(now)}) end,
             failures = coalesce(settled.failures, touch.failures),
             attempts = touch.attempts - case when settled.attempt_unused then 1 else 0 end,
             deferred_since = coalesce(settled.deferred_since, touch.deferred_since),
             unknown_attempt_at = case when settled.may_have_arrived then touch.last_attempt_at
                                       else touch.unknown_attempt_at end,
             sent_at = case when settled.status = 'sent' or ${WENT_OUT} then ${now}::timestamptz end
        from unnest(
          ${settlements.map(({ id }) => id)}::uuid[],
          ${settlements.map(({ status }): TouchStatus => (status === "retry" ? "claimed" : status))}::text[],
          ${column(settlements.map((settled) => ("reason" in settled ? settled.reason : null)))}::text[],
          ${column(settlements.map((settled) => ("providerId" in settled ? settled.providerId : null)))}::text[],
          ${column(settlements.map((settled) => ("nextAttemptAt" in settled ? settled.nextAttemptAt : null)))}::timestamptz[],
          ${column(settlements.map((settled) => ("failures" in settled ? settled.failures : null)))}::int[],
          ${column(settlements.map((settled) => ("attemptUnused" in settled ? true : null)))}::boolean[],
          ${column(settlements.map((settled) => ("deferredSince" in settled ? settled.deferredSince : null)))}::timestamptz[],
          ${column(settlements.map((settled) => ("mayHaveArrived" in settled ? true : null)))}::boolean[]
        ) as settled (id, status, reason, provider_id, next_attempt_at, failures, attempt_unused, deferred_since,
                      may_have_arrived)
       where touch.id = settled.id and case when touch.status = 'sending' then true end
      returning touch.id, touch.workspace_id, touch.status)
    ${insertTouchEvents(FAILED_OR_UNKNOWN, now, sql`from ended where status in ('failed', 'unknown')`)}`;
}

/**
 * Stores new send times of claimed touches. Keeps `expected_outbound_at` if the lead's last contact is the touch's own
 * attempt. The `case` is explained at `settle`.
 */
export async function reschedule(db: Queryable, touches: readonly Rescheduled[]): Promise<void> {
  await execute(db)`
    update touch
       set reason = again.reason, next_attempt_at = again.next_attempt_at, recheck_at = again.next_attempt_at,
           send_until = again.send_until,
           expected_outbound_at = case when again.expected_outbound_at = touch.last_attempt_at then touch.expected_outbound_at
                                  else again.expected_outbound_at end
      from unnest(
        ${touches.map(({ touchId }) => touchId)}::uuid[],
        ${touches.map(({ reason }) => reason)}::text[],
        ${touches.map(({ nextAttemptAt }) => nextAttemptAt)}::timestamptz[],
        ${touches.map(({ sendUntil }) => sendUntil)}::timestamptz[],
        ${touches.map(({ expectedOutboundAt }) => expectedOutboundAt)}::timestamptz[]
      ) as again (id, reason, next_attempt_at, send_until, expected_outbound_at)
     where touch.id = again.id and case when touch.status = 'claimed' then true end`;
}

/** Leaves claimed touches that this run will not send to the next run, whose `now` is later. */
export async function release(db: Queryable, touchIds: readonly string[], now: Date): Promise<void> {
  await execute(db)`
    update touch set recheck_at = greatest(next_attempt_at, ${LATER(now)})
     where id = any(${[...touchIds]}::uuid[]) and status = 'claimed'`;
}

/** A cheap check, because most runs find none: planning the full statements would cost several times as much. */
export async function hasTouchesToRecover(
  db: Queryable,
  { now, workspaceId }: Omit<BatchQuery, "limit">,
): Promise<boolean> {
  return await exists(db)`
    select from touch
     where recheck_at <= ${now} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     limit 1`;
}

/**
 * Ends expired leases, oldest first. A lease outlasts any invocation, so the sender is dead. Touches on repeatable
 * channels are claimed again; others become `unknown`.
 */
export async function expireLeases(db: Queryable, { now, limit, workspaceId }: BatchQuery) {
  return await one(db, z.object({ unknown: z.int(), reclaimed: z.int() }))`
    with dead as materialized (
      select id, channel::text = any(${[...REPEATABLE_CHANNELS]}::text[]) as repeatable
        from touch
       where status = 'sending' and recheck_at <= ${now}
         and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       order by recheck_at, id
       limit ${limit}
         for no key update skip locked),
    ended as (
      update touch
         set status = case when ${WENT_OUT} then 'sent' when repeatable then 'claimed' else 'unknown' end::touch_status,
             reason = case when ${WENT_OUT} then 'settled_by_provider' else 'sender_died' end,
             unknown_attempt_at = coalesce(touch.last_attempt_at, ${now}::timestamptz),
             sent_at = case when ${WENT_OUT} then ${sentAtAttempt(now)} end,
             next_attempt_at = case when repeatable and not ${WENT_OUT} then ${now}::timestamptz end,
             recheck_at = case when repeatable and not ${WENT_OUT} then ${now}::timestamptz end
        from dead
       where touch.id = dead.id
      returning touch.id, touch.workspace_id, touch.status),
    event as (${insertTouchEvents("touch_unknown", now, sql`from ended where status = 'unknown'`)})
    select count(*) filter (where status = 'unknown')::int as unknown,
           count(*) filter (where status = 'claimed')::int as reclaimed
      from ended`;
}

/**
 * Claimed touches whose `recheck_at` has passed, in send order: retries, and touches that a run or a lost message left.
 * Workspaces take turns, so that a large one does not delay the others.
 */
export async function findLeftovers(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
): Promise<readonly Leftover[]> {
  return await many(db, leftoverRow)`
    select id, workspace_id as "workspaceId", channel::text
      from (select id, workspace_id, channel, next_attempt_at,
                   row_number() over (partition by workspace_id order by next_attempt_at, id) as turn
              from touch
             where status = 'claimed' and recheck_at <= ${now} and ${CHANNEL_IS_KNOWN}
               and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)) as left_behind
     order by turn, next_attempt_at, id
     limit ${limit}`;
}

export const leftoverRow = z.object({ id: z.guid(), workspaceId: z.guid(), channel: z.enum(CHANNELS) });

/** Takes the touches that still wait and returns them in order. No other run takes them before `recheckAt`. */
export async function claimAgain(
  db: Queryable,
  touchIds: readonly string[],
  now: Date,
  recheckAt: Date,
): Promise<readonly string[]> {
  const rows = await many(db, z.object({ id: z.guid() }))`
    with left_behind as materialized (
      select id
        from touch
       where id = any(${[...touchIds]}::uuid[]) and status = 'claimed' and recheck_at <= ${now}
         for no key update skip locked)
    update touch set recheck_at = ${recheckAt}
      from left_behind
     where touch.id = left_behind.id
    returning touch.id`;
  const taken = new Set(rows.map(({ id }) => id));
  return touchIds.filter((id) => taken.has(id));
}

/**
 * The workspaces with a claimed touch that may go, the one with the oldest first. Includes touches that a delivery
 * queue or another run holds, which are rechecked by `recheckAt` at the latest. With `after`, only touches rechecked
 * later than that.
 */
export async function findSendableWorkspaces(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
  recheckAt: Date,
  after?: Date,
): Promise<readonly SendableWorkspace[]> {
  return await many(db, z.object({ id: z.guid(), since: storedInstant }))`
    select workspace_id as id, min(next_attempt_at) as since
      from touch
     where status = 'claimed' and recheck_at <= ${recheckAt} and next_attempt_at <= ${now}
       and recheck_at > coalesce(${after ?? null}::timestamptz, '-infinity')
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     group by workspace_id
     order by since
     limit ${limit}`;
}

/** Number of touches that may go and that no run or queue holds, up to `limit`: this run left them to the next one. */
export async function countSendable(db: Queryable, { now, limit, workspaceId }: BatchQuery): Promise<number> {
  const { count } = await one(db, z.object({ count: z.int() }))`
    select count(*)::int as count
      from (select from touch
             where status = 'claimed' and recheck_at <= ${LATER(now)}
               and next_attempt_at <= ${now}
               and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
             limit ${limit}) as waiting`;
  return count;
}

/** A manual task; at most one per touch. */
interface NewTask {
  readonly touchId: string;
  readonly workspaceId: string;
  readonly leadId: string;
  readonly title: string;
  readonly notes: string;
}

/** Inserts the task. A second call for the same touch is a no-op. */
export async function createTask(db: Queryable, task: NewTask): Promise<void> {
  await execute(db)`
    insert into task (workspace_id, touch_id, lead_id, title, notes)
    values (${task.workspaceId}::uuid, ${task.touchId}::uuid, ${task.leadId}::uuid, ${task.title}, ${task.notes})
        on conflict (workspace_id, touch_id) do nothing`;
}
