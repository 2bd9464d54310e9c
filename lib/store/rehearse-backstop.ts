import * as z from "zod";
import type { CompleteBooked } from "../run/store-ports.ts";
import { addCompleted, type Completed, completedRow, ORPHAN, totalOf } from "./backstop.ts";
import { comparisonIsDue, countMeetingsOver, missedByMarker } from "./booked-leads.ts";
import { sweepAgeSeconds } from "./connection-sweeps.ts";
import { many, one, type Queryable, type Sql, sql } from "./sql.ts";
import { rehearseEndMarked } from "./stops.ts";
import { WOULD_BE_CANCELLED } from "./unsent-touches.ts";

/** Counts into `query.report` what `completeBooked` would do. Returns the instances that a stop mark would end. */
export async function rehearseCompleteBooked(db: Queryable, query: CompleteBooked): Promise<readonly string[]> {
  const { now, workspaceId, report } = query;
  const startedMs = performance.now();
  const orphans = sql`
    select id, workspace_id, orphan_since from follow_up_instance
     where ${ORPHAN} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)`;
  addCompleted(report, await countCompleted(db, orphans, now), startedMs);
  const { age } = await one(db, z.object({ age: z.number().nullable() }))`
    select ${sweepAgeSeconds(now, workspaceId)} as age`;
  report.sweepAgeSeconds = age;
  const ended = await rehearseEndMarked(db, query);
  report.unbookedLeads = await countMeetingsOver(db, query);
  if (workspaceId === null && (await comparisonIsDue(db, now))) {
    const missed = await countCompleted(db, missedByMarker(now), now);
    report.missedByMarker = totalOf(missed, "completed");
    report.cancelledTouches += totalOf(missed, "cancelled");
  }
  return ended;
}

async function countCompleted(db: Queryable, orphans: Sql, now: Date): Promise<readonly Completed[]> {
  return await many(db, completedRow)`
    with orphan as materialized (${orphans}),
    cancelled as materialized (
      select workspace_id from touch
       where instance_id = any(array(select id from orphan)) and ${WOULD_BE_CANCELLED})
    select orphan.workspace_id as "workspaceId", count(*)::int as completed,
           (select count(*)::int from cancelled where cancelled.workspace_id = orphan.workspace_id) as cancelled,
           coalesce(extract(epoch from ${now}::timestamptz - min(orphan.orphan_since)), 0)::float8 as "slowestSeconds"
      from orphan
     group by orphan.workspace_id`;
}
