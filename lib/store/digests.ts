import * as z from "zod";
import {
  DIGEST_CHANNELS,
  DIGEST_DELIVERY_STATUSES,
  type DigestDeliveryStatus,
  type NotificationKind,
} from "../domain/labels.ts";
import type { OutgoingDigest } from "../run/channel-ports.ts";
import type { BatchQuery } from "../run/claim-ports.ts";
import type { DigestSettlement } from "../run/store-ports.ts";
import { readMissingData } from "./missing-data.ts";
import { storedInstant } from "./rows.ts";
import { empty, execute, many, one, type Queryable, raw, type Sql, sql } from "./sql.ts";

interface DigestEvents {
  /** A kind, or an expression for it. */
  readonly kind: NotificationKind | Sql;
  /** The one column that describes the event. Which one a kind needs is a law of the table. */
  readonly column: "lead_id" | "touch_id" | "count" | "detail";
  readonly value: Sql;
  readonly workspaceId?: Sql;
  /** A FROM clause with what follows it. One event per row; without it, one event. */
  readonly from?: Sql;
  /** The time of receipt: the digest of an earlier time may already be closed. */
  readonly now: Date;
}

/** A statement that inserts events for the next digest. */
export const insertDigestEvents = ({ kind, column, value, workspaceId, from = empty, now }: DigestEvents): Sql => sql`
      insert into notification_event (workspace_id, kind, ${raw(column)}, occurred_at)
      select ${workspaceId ?? sql`workspace_id`}, ${typeof kind === "string" ? raw(`'${kind}'`) : kind}, ${value}, ${now} ${from}`;

/** Same, with one event per touch of `from`, which has the columns `id` and `workspace_id`. */
export const insertTouchEvents = (kind: DigestEvents["kind"], now: Date, from: Sql): Sql =>
  insertDigestEvents({ kind, column: "touch_id", value: sql`id`, from, now });

/** Queues one event per lead for the next digest. */
export async function insertLeadEvents(
  db: Queryable,
  kind: "meeting_booked" | "lead_replied",
  {
    workspaceId,
    leadIds,
    now,
  }: { readonly workspaceId: string; readonly leadIds: readonly string[]; readonly now: Date },
): Promise<void> {
  const leads = { workspaceId: sql`${workspaceId}::uuid`, value: sql`unnest(${[...leadIds]}::uuid[])` };
  await execute(db)`${insertDigestEvents({ ...leads, kind, column: "lead_id", now })}`;
}

/** Number of deliveries with that status whose `recheck_at` has passed. */
export async function countDigests(
  db: Queryable,
  { now, workspaceId }: Omit<BatchQuery, "limit">,
  status: "pending" | "sending",
): Promise<number> {
  const { count } = await one(db, z.object({ count: z.int() }))`
    select count(*)::int as count from digest_delivery
     where status = ${status}::digest_delivery_status and recheck_at <= ${now}
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)`;
  return count;
}

/**
 * Marks deliveries with an expired lease as `unknown` and returns their number. A lease outlasts any invocation, so the
 * sender is dead.
 */
export async function expireDigestLeases(db: Queryable, { now, limit, workspaceId }: BatchQuery): Promise<number> {
  return await execute(db)`
    update digest_delivery set status = 'unknown', reason = 'sender_died', recheck_at = null
     where id in (
       select id from digest_delivery
        where status = 'sending' and recheck_at <= ${now}
          and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
        order by recheck_at, id
        limit ${limit}
          for no key update skip locked)`;
}

const takenRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  channel: z.enum(DIGEST_CHANNELS),
  failures: z.int(),
  from: z.string(),
  to: z.string().nullable(),
  workspaceName: z.string(),
  sections: z.array(
    z.object({
      kind: z.string(),
      count: z.int(),
      examples: z.array(
        z.object({
          firstName: z.string().nullable(),
          lastName: z.string().nullable(),
          company: z.string().nullable(),
          channel: z.string().nullable(),
          reason: z.string().nullable(),
          detail: z.string().nullable(),
        }),
      ),
    }),
  ),
});

/** Examples per kind; further events are only counted. */
const EXAMPLES = 20;

/**
 * In one statement, moves due deliveries to `sending` and reads their events and current receiver. Skips channels that
 * only newer code knows. Adds what waits for a missing value.
 */
export async function claimDigests(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
  leaseUntil: Date,
): Promise<readonly OutgoingDigest[]> {
  const rows = await many(db, takenRow)`
    with due as materialized (
      select id from digest_delivery
       where status = 'pending' and recheck_at <= ${now} and channel::text = any(${[...DIGEST_CHANNELS]}::text[])
         and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       order by recheck_at, id
       limit ${limit}
         for no key update skip locked),
    taken as (
      update digest_delivery as delivery
         set status = 'sending', attempts = least(attempts, 2147483646) + 1, recheck_at = ${leaseUntil}, reason = null
        from due
       where delivery.id = due.id
      returning delivery.id, delivery.workspace_id, delivery.digest_id, delivery.channel, delivery.failures)
    select taken.id, taken.workspace_id as "workspaceId", taken.channel::text, taken.failures,
           workspace.email_from as "from", workspace.name as "workspaceName",
           case when digest_muted then null when taken.channel = 'email' then digest_email
                else digest_webhook_url end as "to",
           section.sections
      from taken
      join workspace on workspace.id = taken.workspace_id
     cross join lateral (
       select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'count', count, 'examples', examples) order by kind),
                       '[]') as sections
         from (
           select ranked.kind, least(sum(ranked.count), 2147483647)::int as count,
                  coalesce(jsonb_agg(jsonb_build_object(
                    'firstName', lead.first_name, 'lastName', lead.last_name, 'company', lead.company,
                    'channel', touch.channel, 'reason', touch.reason, 'detail', ranked.detail)
                    order by ranked.place)
                    filter (where lead.id is not null
                                  or (ranked.detail is not null and ranked.place <= ${EXAMPLES})), '[]') as examples
             from (
               select kind, lead_id, touch_id, count, detail,
                      row_number() over (partition by kind order by occurred_at desc, id desc) as place
                 from notification_event
                where workspace_id = taken.workspace_id and digest_id = taken.digest_id) as ranked
             left join touch on touch.id = ranked.touch_id and ranked.place <= ${EXAMPLES}
             left join lead on lead.workspace_id = taken.workspace_id and ranked.place <= ${EXAMPLES}
              and lead.id = coalesce(ranked.lead_id, touch.lead_id)
            group by ranked.kind) as kind_section) as section
     order by taken.id`;
  const missing = await readMissingData(db, [...new Set(rows.map((row) => row.workspaceId))], {
    now,
    examples: EXAMPLES,
  });
  return rows.map(({ workspaceName, sections, ...digest }) => ({
    ...digest,
    contents: { workspaceName, sections: [...sections, ...(missing.get(digest.workspaceId) ?? [])] },
  }));
}

/** Settles a delivery; a no-op if it is no longer `sending`. */
export async function settleDigest(db: Queryable, settlement: DigestSettlement, now: Date): Promise<void> {
  const { id, status } = settlement;
  const stored: DigestDeliveryStatus = status === "retry" ? "pending" : status;
  await execute(db)`
    update digest_delivery
       set status = ${stored}::digest_delivery_status,
           reason = ${"reason" in settlement ? settlement.reason : null},
           provider_id = ${"providerId" in settlement ? settlement.providerId : null},
           failures = coalesce(${"failures" in settlement ? settlement.failures : null}::int, failures),
           attempts = attempts - ${"attemptUnused" in settlement ? 1 : 0}::int,
           recheck_at = ${status === "retry" ? settlement.nextAttemptAt : null},
           sent_at = ${status === "sent" ? now : null}
     where id = ${id}::uuid and status = 'sending'`;
}

export const lostDigestRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspace: z.string(),
  channel: z.enum(DIGEST_CHANNELS),
  status: z.enum(DIGEST_DELIVERY_STATUSES),
  /** Explains the status. */
  reason: z.string().nullable(),
  /** The time that the digest reports on. */
  windowStart: storedInstant,
  windowEnd: storedInstant,
});

/** Deliveries that failed or may not have arrived, the newest digest first. */
export async function readLostDigests(
  db: Queryable,
  { workspaceId, limit }: { readonly workspaceId: string | null; readonly limit: number },
): Promise<z.infer<typeof lostDigestRow>[]> {
  return await many(db, lostDigestRow)`
    select delivery.id, delivery.workspace_id as "workspaceId", workspace.name as workspace, delivery.channel::text,
           delivery.status::text, delivery.reason, digest.window_start as "windowStart", digest.window_end as "windowEnd"
      from digest_delivery as delivery
      join notification_digest as digest
        on digest.workspace_id = delivery.workspace_id and digest.id = delivery.digest_id
      join workspace on workspace.id = delivery.workspace_id
     where delivery.status in ('failed', 'unknown')
       and (${workspaceId}::uuid is null or delivery.workspace_id = ${workspaceId}::uuid)
     order by digest.window_end desc, delivery.id
     limit ${limit}`;
}

const resentRow = z.object({
  workspaceId: z.guid(),
  status: z.enum(DIGEST_DELIVERY_STATUSES),
  resent: z.boolean(),
});

/**
 * Lets the next run send a digest that failed, or may not have arrived, again. Returns its status before that; undefined
 * if there is none with this id.
 */
export async function resendDigest(
  db: Queryable,
  { id, at }: { readonly id: string; readonly at: Date },
): Promise<z.infer<typeof resentRow> | undefined> {
  const [digest] = await many(db, resentRow)`
    with found as materialized (
      select id, workspace_id, status from digest_delivery where id = ${id}::uuid for no key update),
    resent as (
      update digest_delivery set status = 'pending', reason = null, recheck_at = ${at}::timestamptz, failures = 0
        from found
       where digest_delivery.id = found.id and found.status in ('failed', 'unknown'))
    select workspace_id as "workspaceId", status::text, status in ('failed', 'unknown') as resent from found`;
  return digest;
}
