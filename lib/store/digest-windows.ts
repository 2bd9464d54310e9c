import * as z from "zod";
import type { DigestWindow, OpenWindow } from "../domain/digest.ts";
import type { BatchQuery } from "../run/claim-ports.ts";
import type { ClosedWindows } from "../run/store-ports.ts";
import { hasMissingData } from "./missing-data.ts";
import { storedInstantOrNull } from "./rows.ts";
import { empty, many, one, type Queryable, type Sql, sql, type Transactional } from "./sql.ts";

/** No window is longer. A time further ahead was written while the clock was wrong. */
const LONGEST_WINDOW_MS = 7 * 24 * 60 * 60_000;
const aheadOf = (now: Date): Date => new Date(now.getTime() + LONGEST_WINDOW_MS);

/** A cheap check, because most runs find nothing. `ORDER BY … LIMIT 1` forces the index, as in the backstop. */
export async function isDigestDue(db: Queryable, { now, workspaceId }: Omit<BatchQuery, "limit">): Promise<boolean> {
  const { due } = await one(db, z.object({ due: z.boolean() }))`
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
  return due;
}

const openRow = z.object({
  id: z.guid(),
  time: z.string(),
  zone: z.string(),
  end: storedInstantOrNull,
  lastReported: storedInstantOrNull,
});

/**
 * In one transaction, locks workspaces whose window has ended or must be recomputed, calls `close` for each and writes
 * the result. The lock prevents two runs from making the same digest. Skips workspaces that another transaction holds.
 * Recomputes a window that ends too far ahead, because the clock was wrong.
 */
export function closeDigestWindows(
  db: Transactional,
  query: BatchQuery,
  close: (open: OpenWindow) => DigestWindow,
): Promise<ClosedWindows> {
  return db.transaction(async (transaction) => {
    const which = sql`order by next_digest_at, id limit ${query.limit} for no key update skip locked`;
    const windows = await closedWindows(transaction, query, close, which);
    if (windows.length === 0) return { checked: 0, skipped: 0 };
    return { checked: windows.length, skipped: await makeDigests(transaction, windows, query.now) };
  });
}

/** `which` is the ORDER BY, LIMIT and locking clause. */
async function closedWindows(
  db: Queryable,
  { now, workspaceId }: BatchQuery,
  close: (open: OpenWindow) => DigestWindow,
  which: Sql,
): Promise<readonly ClosedWindow[]> {
  const open = await many(db, openRow)`
    select id, to_char(digest_time, 'HH24:MI:SS') as time, time_zone as zone,
           case when next_digest_at > '-infinity' and next_digest_at <= ${now} then next_digest_at end as end,
           (select max(window_end) from notification_digest where workspace_id = workspace.id) as "lastReported"
      from workspace
     where (next_digest_at <= ${now} or next_digest_at > ${aheadOf(now)})
       and (${workspaceId}::uuid is null or id = ${workspaceId}::uuid)
     ${which}`;
  return open.map(({ id, ...window }) => ({ id, ...close(window) }));
}

type ClosedWindow = DigestWindow & { readonly id: string };

/**
 * Makes a digest of every event from before the end of its window that has no digest yet, however late it committed.
 * Includes events that are dated too far ahead, because the clock was wrong. Makes no digest if there is neither an
 * event nor an instance that waits for a missing value. Returns how many closed windows get no delivery.
 */
async function makeDigests(db: Queryable, windows: readonly ClosedWindow[], now: Date): Promise<number> {
  const { skipped } = await one(db, z.object({ skipped: z.int() }))`
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
       where closed.window_end is not null
         and (first.occurred_at is not null or ${hasMissingData(sql`closed.workspace_id`)})
          on conflict (workspace_id, window_end) do nothing
      returning id, workspace_id, window_end),
    assigned as (
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
  return skipped;
}

const rehearsedRow = z.object({ withReceiver: z.int(), digests: z.int() });

/** Computes what closing all windows would do, and how many deliveries it would create. */
export async function rehearseDigests(
  db: Queryable,
  query: BatchQuery,
  close: (open: OpenWindow) => DigestWindow,
): Promise<ClosedWindows & { readonly digests: number }> {
  const windows = await closedWindows(db, query, close, empty);
  const closed = windows.flatMap(({ id, end }) => (end ? [{ id, end }] : []));
  const { withReceiver, digests } = await one(db, rehearsedRow)`
    select count(*)::int as digests, count(distinct workspace.id)::int as "withReceiver"
      from unnest(
        ${closed.map(({ id }) => id)}::uuid[], ${closed.map(({ end }) => end)}::timestamptz[]) as closed (id, window_end)
      join workspace on workspace.id = closed.id and not workspace.digest_muted
     cross join lateral (
       values (workspace.digest_email), (workspace.digest_webhook_url)) as receiver (address)
     where receiver.address is not null and (${hasMissingData(sql`closed.id`)} or exists (
       select from notification_event as event
        where event.workspace_id = closed.id and event.digest_id is null
          and (event.occurred_at < closed.window_end or event.occurred_at > ${aheadOf(query.now)})))`;
  return { checked: windows.length, skipped: closed.length - withReceiver, digests };
}
