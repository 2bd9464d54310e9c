import * as z from "zod";
import type { DigestContents } from "../domain/digest.ts";
import type { DigestWindow, OpenWindow } from "../domain/digest-times.ts";
import { DIGEST_CHANNELS, NOTIFICATION_KINDS } from "../domain/labels.ts";
import type { ClosedWindows, DigestSettlement, OutgoingDigest } from "../run/digest-ports.ts";
import type { BatchQuery } from "../run/port-types.ts";
import { Prisma } from "./generated/client.ts";
import type { Queryable, Transactional } from "./queryable.ts";

/** No window is longer, and no clock is that far ahead: a later time was written while the clock was wrong. */
const LONGEST_WINDOW_MS = 7 * 24 * 60 * 60_000;
const aheadOf = (now: Date): Date => new Date(now.getTime() + LONGEST_WINDOW_MS);

/** Most runs find nothing, and this is all that the digests then cost. `ORDER BY … LIMIT 1` forces the index, as in the backstop. */
export async function isDigestDue(db: Queryable, { now, workspaceId }: Omit<BatchQuery, "limit">): Promise<boolean> {
  const rows = await db.$queryRaw`
    select coalesce(
             (select id from workspace
               where next_digest_at <= ${now} and (${workspaceId}::uuid is null or id = ${workspaceId}::uuid)
               order by next_digest_at
               limit 1),
             (select id from workspace
               where next_digest_at > ${aheadOf(now)} and (${workspaceId}::uuid is null or id = ${workspaceId}::uuid)
               order by next_digest_at desc
               limit 1),
             (select id from digest_delivery
               where recheck_at <= ${now}
                 and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
               order by recheck_at
               limit 1)) is not null as due`;
  return z.tuple([z.object({ due: z.boolean() })]).parse(rows)[0].due;
}

const openRow = z.object({
  id: z.guid(),
  time: z.string(),
  zone: z.string(),
  end: z.date().nullable(),
  last_told: z.date().nullable(),
});

/**
 * One transaction: locks workspaces whose window has ended or has to be reckoned, calls `close` for each, and carries it
 * out. The lock keeps two runs from making one digest each. A workspace that another transaction holds is left to the next
 * run. A window that ends too far ahead is reckoned again: the clock was wrong.
 */
export function closeDigestWindows(
  db: Transactional,
  query: BatchQuery,
  close: (open: OpenWindow) => DigestWindow,
): Promise<ClosedWindows> {
  return db.transaction(async (transaction) => {
    const which = Prisma.sql`order by next_digest_at, id limit ${query.limit} for no key update skip locked`;
    const windows = await closedWindows(transaction, query, close, which);
    if (windows.length === 0) return { looked: 0, skipped: 0 };
    return { looked: windows.length, skipped: await makeDigests(transaction, windows, query.now) };
  });
}

/** `which` orders, limits and locks. */
async function closedWindows(
  db: Queryable,
  { now, workspaceId }: BatchQuery,
  close: (open: OpenWindow) => DigestWindow,
  which: Prisma.Sql,
): Promise<readonly ClosedWindow[]> {
  const rows = await db.$queryRaw`
    select id, to_char(digest_time, 'HH24:MI:SS') as time, time_zone as zone,
           case when next_digest_at > '-infinity' and next_digest_at <= ${now} then next_digest_at end as end,
           (select max(window_end) from notification_digest where workspace_id = workspace.id) as last_told
      from workspace
     where (next_digest_at <= ${now} or next_digest_at > ${aheadOf(now)})
       and (${workspaceId}::uuid is null or id = ${workspaceId}::uuid)
     ${which}`;
  const open = z.array(openRow).parse(rows);
  return open.map(({ id, last_told: lastTold, ...row }) => ({ id, ...close({ ...row, lastTold }) }));
}

type ClosedWindow = DigestWindow & { readonly id: string };

/**
 * Every event that happened before the end of its window and has no digest yet gets this one, however late it was
 * committed. So does an event that is dated too far ahead: the clock was wrong. Without events no digest is made. Returns
 * how many closed windows have no receiver or no event.
 */
async function makeDigests(db: Queryable, windows: readonly ClosedWindow[], now: Date): Promise<number> {
  const rows = await db.$queryRaw`
    with closed as materialized (
      select * from unnest(
        ${windows.map(({ id }) => id)}::uuid[],
        ${windows.map(({ end }) => end)}::timestamptz[],
        ${windows.map(({ nextEnd }) => nextEnd)}::timestamptz[]) as closed (workspace_id, window_end, next_end)),
    moved as (
      update workspace set next_digest_at = closed.next_end
        from closed
       where workspace.id = closed.workspace_id
      returning workspace.id, closed.window_end,
                case when not digest_muted then digest_email end as email,
                case when not digest_muted then digest_webhook_url end as webhook),
    made as (
      insert into notification_digest (workspace_id, window_start, window_end)
      select closed.workspace_id,
             coalesce((select max(earlier.window_end) from notification_digest as earlier
                        where earlier.workspace_id = closed.workspace_id and earlier.window_end < closed.window_end),
                      least(first.occurred_at, closed.window_end - interval '1 day')),
             closed.window_end
        from closed
       cross join lateral (
         select min(occurred_at) as occurred_at from notification_event as event
          where event.workspace_id = closed.workspace_id and event.digest_id is null
            and (event.occurred_at < closed.window_end or event.occurred_at > ${aheadOf(now)})) as first
       where closed.window_end is not null and first.occurred_at is not null
          on conflict (workspace_id, window_end) do nothing
      returning id, workspace_id, window_end),
    told as (
      update notification_event as event set digest_id = made.id
        from made
       where event.workspace_id = made.workspace_id and event.digest_id is null
         and (event.occurred_at < made.window_end or event.occurred_at > ${aheadOf(now)})),
    delivery as (
      insert into digest_delivery (workspace_id, digest_id, channel, recheck_at)
      select made.workspace_id, made.id, receiver.channel::digest_channel, ${now}
        from made
        join moved on moved.id = made.workspace_id
       cross join lateral (values ('email', moved.email), ('webhook', moved.webhook)) as receiver (channel, address)
       where receiver.address is not null
      returning workspace_id)
    select count(*)::int as skipped
      from moved
     where window_end is not null and id not in (select workspace_id from delivery)`;
  return z.tuple([z.object({ skipped: z.int() })]).parse(rows)[0].skipped;
}

const rehearsedRow = z.object({ told: z.int(), digests: z.int() });

/** What the closing of all windows would do, and how many digests it would make. */
export async function rehearseDigests(
  db: Queryable,
  query: BatchQuery,
  close: (open: OpenWindow) => DigestWindow,
): Promise<ClosedWindows & { readonly digests: number }> {
  const windows = await closedWindows(db, query, close, Prisma.empty);
  const closed = windows.flatMap(({ id, end }) => (end ? [{ id, end }] : []));
  const rows = await db.$queryRaw`
    select count(*)::int as digests, count(distinct workspace.id)::int as told
      from unnest(
        ${closed.map(({ id }) => id)}::uuid[], ${closed.map(({ end }) => end)}::timestamptz[]) as closed (id, window_end)
      join workspace on workspace.id = closed.id and not workspace.digest_muted
     cross join lateral (
       values (workspace.digest_email), (workspace.digest_webhook_url)) as receiver (address)
     where receiver.address is not null and exists (
       select from notification_event as event
        where event.workspace_id = closed.id and event.digest_id is null
          and (event.occurred_at < closed.window_end or event.occurred_at > ${aheadOf(query.now)}))`;
  const [{ told, digests }] = z.tuple([rehearsedRow]).parse(rows);
  return { looked: windows.length, skipped: closed.length - told, digests };
}

/** How many deliveries have that status and a time that has come. */
export async function countDigests(
  db: Queryable,
  { now, workspaceId }: Omit<BatchQuery, "limit">,
  status: "pending" | "sending",
): Promise<number> {
  const rows = await db.$queryRaw`
    select count(*)::int as count from digest_delivery
     where status = ${status}::digest_delivery_status and recheck_at <= ${now}
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)`;
  return z.tuple([z.object({ count: z.int() })]).parse(rows)[0].count;
}

/** A lease is longer than any invocation, so whoever held it is dead. */
export async function expireDigestLeases(db: Queryable, { now, limit, workspaceId }: BatchQuery): Promise<number> {
  return await db.$executeRaw`
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
  workspace_id: z.guid(),
  channel: z.enum(DIGEST_CHANNELS),
  failures: z.int(),
  email_from: z.string(),
  receiver: z.string().nullable(),
  workspace_name: z.string(),
  sections: z.array(
    z.object({
      kind: z.enum(NOTIFICATION_KINDS),
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

/** Told of each kind by name; the others are counted. */
const EXAMPLES = 20;

/** In one statement: moves deliveries to `sending` and reads what they tell. Who is to be told is asked again. */
export async function takeUpDigests(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
  leaseUntil: Date,
): Promise<readonly OutgoingDigest[]> {
  const rows = await db.$queryRaw`
    with due as materialized (
      select id from digest_delivery
       where status = 'pending' and recheck_at <= ${now}
         and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       order by recheck_at, id
       limit ${limit}
         for no key update skip locked),
    taken as (
      update digest_delivery as delivery
         set status = 'sending', attempts = attempts + 1, recheck_at = ${leaseUntil}, reason = null
        from due
       where delivery.id = due.id
      returning delivery.id, delivery.workspace_id, delivery.digest_id, delivery.channel, delivery.failures)
    select taken.id, taken.workspace_id, taken.channel::text, taken.failures, workspace.email_from,
           workspace.name as workspace_name,
           case when digest_muted then null when taken.channel = 'email' then digest_email
                else digest_webhook_url end as receiver,
           section.sections
      from taken
      join workspace on workspace.id = taken.workspace_id
     cross join lateral (
       select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'count', count, 'examples', examples) order by kind),
                       '[]') as sections
         from (
           select ranked.kind, sum(ranked.count)::int as count,
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
            group by ranked.kind) as told) as section
     order by taken.id`;
  return z.array(takenRow).parse(rows).map(outgoingDigest);
}

const outgoingDigest = (row: z.infer<typeof takenRow>): OutgoingDigest => ({
  id: row.id,
  workspaceId: row.workspace_id,
  channel: row.channel,
  failures: row.failures,
  from: row.email_from,
  to: row.receiver,
  contents: { workspaceName: row.workspace_name, sections: row.sections } satisfies DigestContents,
});

/** Writes what became of a delivery. One that is no longer `sending` is left as it is. */
export async function settleDigest(db: Queryable, settlement: DigestSettlement, now: Date): Promise<void> {
  const { id, status } = settlement;
  await db.$executeRaw`
    update digest_delivery
       set status = ${status}::digest_delivery_status,
           reason = ${"reason" in settlement ? settlement.reason : null},
           provider_id = ${"providerId" in settlement ? settlement.providerId : null},
           failures = coalesce(${"failures" in settlement ? settlement.failures : null}::int, failures),
           recheck_at = ${"recheckAt" in settlement ? settlement.recheckAt : null},
           sent_at = ${status === "sent" ? now : null}
     where id = ${id}::uuid and status = 'sending'`;
}
