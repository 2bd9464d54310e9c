import * as z from "zod";
import { type BackstopReport, nothingCompleted } from "../run/step-reports.ts";
import type { CompleteBooked } from "../run/store-ports.ts";
import { comparisonIsDue, missedByMarker, unbookAfterTheMeeting } from "./booked-leads.ts";
import { sweepAgeSeconds } from "./connection-sweeps.ts";
import { insertDigestEvents } from "./digests.ts";
import { databaseNow, many, one, type Queryable, type Sql, sql } from "./sql.ts";
import { BATCH_SIZE, endMarked } from "./stops.ts";
import { cancelTouchesAndTasks } from "./unsent-touches.ts";

/**
 * Completes every live instance of a booked lead outside post-booking sequences, cancels its unsent touches, and clears
 * bookings whose last meeting is over. Idempotent, and safe to run concurrently. The cost depends only on the orphans:
 * triggers maintain the marker on the instance, and a partial index holds exactly the orphans.
 */
export async function completeFollowUpsForMeetingBookedLeads(
  db: Queryable,
  query: Partial<Omit<CompleteBooked, "report">> = {},
): Promise<BackstopReport> {
  const report = nothingCompleted();
  const now = query.now ?? (await databaseNow(db));
  await completeOrphans(db, { stopping: () => false, workspaceId: null, ...query, now, report });
  return report;
}

/**
 * Same, but counts into `query.report` as it progresses, and once a day runs the full comparison with the definition of
 * booked.
 */
export async function completeBooked(db: Queryable, query: CompleteBooked): Promise<void> {
  await completeOrphans(db, query);
  if (query.workspaceId === null && !query.stopping() && (await comparisonIsDue(db, query.now))) {
    query.report.missedByMarker = await completeMissed(db, query);
  }
}

/** A live instance of a booked lead outside post-booking sequences. Literals, so that the partial index matches. */
export const ORPHAN = sql`status in ('active', 'paused') and lead_booked and not post_booking`;

export const completedRow = z.object({
  workspaceId: z.guid(),
  completed: z.int(),
  cancelled: z.int(),
  slowestSeconds: z.number(),
});
export type Completed = z.infer<typeof completedRow>;

async function completeOrphans(db: Queryable, query: CompleteBooked): Promise<void> {
  const startedMs = performance.now();
  const found = await look(db, query);
  query.report.sweepAgeSeconds = found.sweepAgeSeconds;
  if (found.orphans) await completeFound(db, query, startedMs);
  if (found.marked) await endMarked(db, query);
  if (found.meetingsOver) await unbookAfterTheMeeting(db, query);
  if (found.orphans) await measureRemaining(db, query, startedMs);
}

const looked = z.object({
  orphans: z.boolean(),
  marked: z.boolean(),
  meetingsOver: z.boolean(),
  sweepAgeSeconds: z.number().nullable(),
});

/**
 * A cheap check, because most runs find nothing. `ORDER BY … LIMIT 1` forces the index; with `EXISTS` the planner
 * chooses a sequential scan.
 */
async function look(db: Queryable, { now, workspaceId }: CompleteBooked): Promise<z.infer<typeof looked>> {
  return await one(db, looked)`
    select (
             select id from follow_up_instance
              where ${ORPHAN}
                and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
              order by id
              limit 1) is not null as orphans,
           (
             select id from lead
              where stop_cause is not null
                and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
              order by id
              limit 1) is not null as marked,
           (
             select id from lead
              where booked_until <= ${now}
                and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
              order by booked_until
              limit 1) is not null as "meetingsOver",
           ${sweepAgeSeconds(now, workspaceId)} as "sweepAgeSeconds"`;
}

async function completeFound(db: Queryable, query: CompleteBooked, startedMs: number): Promise<void> {
  while (!query.stopping()) {
    const rows = await completeBatch(db, { ...query, leadId: null, startedBefore: null });
    const completed = addCompleted(query.report, rows, startedMs);
    if (completed < BATCH_SIZE) return;
  }
}

interface BookedLead {
  readonly workspaceId: string;
  readonly leadId: string;
  readonly now: Date;
  /** Only instances that started before this time; null for all. */
  readonly startedBefore: Date | null;
}

/** Same, for one lead, inside the booking's transaction. Emits no `backstop_completed` event. */
export async function completeBookedLead(
  db: Queryable,
  lead: BookedLead,
): Promise<{ readonly ended: number; readonly cancelledTouches: number }> {
  const [row] = await completeBatch(db, lead);
  return { ended: row?.completed ?? 0, cancelledTouches: (row?.cancelled ?? 0) + (await cancelLastSteps(db, lead)) };
}

/** Cancels unsent touches of instances that already completed. */
async function cancelLastSteps(
  db: Queryable,
  { workspaceId, leadId, startedBefore, now }: BookedLead,
): Promise<number> {
  const instanceIds = sql`array(select id from ended)`;
  const { count } = await one(db, z.object({ count: z.int() }))`
    with ended as materialized (
      select id from follow_up_instance
       where workspace_id = ${workspaceId}::uuid and lead_id = ${leadId}::uuid and not post_booking
         and (${startedBefore}::timestamptz is null or started_at < ${startedBefore}::timestamptz)),
    ${cancelTouchesAndTasks({ instanceIds, reason: sql`'meeting_booked'`, now })}
    select count(*)::int as count from cancelled`;
  return count;
}

interface Batch extends Omit<BookedLead, "workspaceId" | "leadId"> {
  readonly workspaceId: string | null;
  readonly leadId: string | null;
}

function completeBatch(
  db: Queryable,
  { now, workspaceId, leadId, startedBefore }: Batch,
): Promise<readonly Completed[]> {
  const orphans = sql`
    select id, workspace_id, orphan_since
      from follow_up_instance
     where ${ORPHAN}
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       and (${leadId}::uuid is null or lead_id = ${leadId}::uuid)
       and (${startedBefore}::timestamptz is null or started_at < ${startedBefore}::timestamptz)
     order by id
     limit ${BATCH_SIZE}
       for no key update skip locked`;
  return complete(db, orphans, { now, inDigest: leadId === null });
}

/**
 * Completes the instances that `orphans` selects and locks, and cancels their unsent touches. Returns one row per
 * workspace. Uses arrays, because for a join of this size the planner reads all unsent touches.
 */
async function complete(
  db: Queryable,
  orphans: Sql,
  { now, inDigest }: { readonly now: Date; readonly inDigest: boolean },
): Promise<readonly Completed[]> {
  return await many(db, completedRow)`
    with orphan as materialized (${orphans}),
    completed as (
      update follow_up_instance
         set status = 'completed', completed_at = ${now}, completed_reason = 'meeting_booked',
             next_step_due = null, paused_reason = null
       where id = any(array(select id from orphan))),
    ${cancelTouchesAndTasks({ instanceIds: sql`array(select id from orphan)`, reason: sql`'meeting_booked'`, now })},
    event as (${insertDigestEvents({
      kind: "backstop_completed",
      column: "count",
      value: sql`count(*)`,
      from: sql`from orphan where ${inDigest}::boolean group by workspace_id`,
      now,
    })})
    select orphan.workspace_id as "workspaceId", count(*)::int as completed,
           (select count(*)::int from cancelled where cancelled.workspace_id = orphan.workspace_id) as cancelled,
           coalesce(extract(epoch from ${now}::timestamptz - min(orphan.orphan_since) filter (where isfinite(orphan.orphan_since))), 0)::float8 as "slowestSeconds"
      from orphan
     group by orphan.workspace_id`;
}

export function addCompleted(report: BackstopReport, rows: readonly Completed[], startedMs: number): number {
  let completed = 0;
  for (const row of rows) {
    completed += row.completed;
    report.cancelledTouches += row.cancelled;
    report.byWorkspace[row.workspaceId] = (report.byWorkspace[row.workspaceId] ?? 0) + row.completed;
    measure(report, row.slowestSeconds, startedMs);
  }
  report.completedCount += completed;
  return completed;
}

/** Adds the time since `now` was read. A booking from a clock that is ahead counts as zero wait. */
function measure(report: BackstopReport, secondsAtNow: number, startedMs: number): void {
  const seconds = Math.max(0, secondsAtNow) + (performance.now() - startedMs) / 1_000;
  report.slowestSeconds = Math.max(report.slowestSeconds, Math.round(seconds * 1_000) / 1_000);
}

const remainingRow = z.object({ count: z.int(), slowestSeconds: z.number().nullable() });

/** Counts and measures the orphans that another transaction holds or that there was no time for. */
async function measureRemaining(db: Queryable, { now, workspaceId, report }: CompleteBooked, startedMs: number) {
  const { count, slowestSeconds } = await one(db, remainingRow)`
    select count(*)::int as count,
           extract(epoch from ${now}::timestamptz - min(orphan_since))::float8 as "slowestSeconds"
      from (select orphan_since from follow_up_instance
             where ${ORPHAN}
               and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
             limit 100000) as orphan`;
  report.remaining = count;
  if (slowestSeconds !== null) measure(report, slowestSeconds, startedMs);
}

/** Compares all live instances with the definition of booked, and completes those that the marker missed. */
async function completeMissed(db: Queryable, { now, stopping, report }: CompleteBooked): Promise<number> {
  const missed = sql`
    ${missedByMarker(now)}
     order by instance.id
     limit ${BATCH_SIZE}
       for no key update of instance skip locked`;
  let completed = 0;
  while (!stopping()) {
    const rows = await complete(db, missed, { now, inDigest: true });
    const inBatch = totalOf(rows, "completed");
    completed += inBatch;
    report.cancelledTouches += totalOf(rows, "cancelled");
    if (inBatch < BATCH_SIZE) break;
  }
  return completed;
}

export const totalOf = (rows: readonly Completed[], count: "completed" | "cancelled"): number =>
  rows.reduce((sum, row) => sum + row[count], 0);
