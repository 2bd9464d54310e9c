import * as z from "zod";
import type { CompleteBooked } from "../run/store-ports.ts";
import { CONTACT_BAR } from "./contact-rule.ts";
import { empty, one, type Queryable, type Sql, sql } from "./sql.ts";
import { cancelTouchesAndTasks, WOULD_BE_CANCELLED } from "./unsent-touches.ts";

/** Rows per statement: small enough to lose little on a timeout, large enough to amortise round trips. */
export const BATCH_SIZE = 1_000;

/**
 * Applies the stopping effects of direct writes, as the matching fact would. Ends post-booking sequences of leads whose
 * meeting was cancelled, missed, moved or deleted, unless another is ahead. Ends all sequences of leads whose status
 * bars contact. Counts into `query.report`. Idempotent. The cost depends only on marked leads: triggers maintain
 * `lead.stop_cause`.
 */
export async function endMarked(db: Queryable, query: CompleteBooked): Promise<void> {
  const { report } = query;
  while (!query.stopping()) {
    const { leads, ...ended } = await endBatch(db, query);
    report.endedPostBooking += ended.postBooking;
    report.endedByLeadStatus += ended.byLeadStatus;
    report.cancelledTouches += ended.cancelledTouches;
    if (leads < BATCH_SIZE) return;
  }
}

const REASON_OF_TOUCH = sql`(select affected.reason from affected where affected.id = touch.instance_id)`;

const batchRow = z.object({ leads: z.int(), postBooking: z.int(), byLeadStatus: z.int(), cancelledTouches: z.int() });

/** CTEs: `marked` leads, ordered, limited and locked by `which`, and `affected`, the instances of theirs to end. */
const affected = ({ now, workspaceId }: Pick<CompleteBooked, "now" | "workspaceId">, which: Sql): Sql => sql`
    marked as materialized (
      select id, workspace_id,
             ${CONTACT_BAR} as bar,
             case when stop_cause <> 'barred' and (booked_until is null or booked_until <= ${now})
                  then stop_cause end as cause
        from lead
       where stop_cause is not null and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       ${which}),
    affected as materialized (
      select instance.id, instance.lead_id, marked.bar, coalesce(marked.bar, marked.cause) as reason
        from marked
        join follow_up_instance as instance
          on instance.lead_id = marked.id and instance.workspace_id = marked.workspace_id
       where marked.bar is not null or (marked.cause is not null and instance.post_booking))`;

/**
 * One statement, so that a mark is never lost. Locks leads before instances, as everywhere. A lead keeps its mark while
 * another transaction holds one of its instances.
 */
async function endBatch(
  db: Queryable,
  { now, workspaceId }: Pick<CompleteBooked, "now" | "workspaceId">,
): Promise<z.infer<typeof batchRow>> {
  return await one(db, batchRow)`
    with ${affected({ now, workspaceId }, sql`order by id limit ${BATCH_SIZE} for no key update skip locked`)},
    taken as materialized (
      select id, status in ('active', 'paused') as live
        from follow_up_instance
       where id = any(array(select id from affected))
       order by id
         for no key update skip locked),
    ended as (
      update follow_up_instance as instance
         set status = case when affected.bar is null then 'cancelled' else 'completed' end::instance_status,
             completed_at = ${now}, completed_reason = affected.reason, next_step_due = null, paused_reason = null
        from taken join affected using (id)
       where instance.id = taken.id and taken.live
      returning affected.bar is null as post_booking),
    ${cancelTouchesAndTasks({ instanceIds: sql`array(select id from taken)`, reason: REASON_OF_TOUCH, now })},
    cleared as (
      update lead set stop_cause = null
       where id = any(array(
         select id from marked
          where not exists (
            select from affected
             where affected.lead_id = marked.id and not exists (select from taken where taken.id = affected.id)))))
    select (select count(*)::int from marked) as leads,
           (select count(*)::int from ended where post_booking) as "postBooking",
           (select count(*)::int from ended where not post_booking) as "byLeadStatus",
           (select count(*)::int from cancelled) as "cancelledTouches"`;
}

const rehearsedRow = z.object({
  postBooking: z.int(),
  byLeadStatus: z.int(),
  cancelledTouches: z.int(),
  ids: z.array(z.guid()),
});

/**
 * Counts into `query.report` what `endMarked` would do after the orphans are completed. Returns the instances that it
 * would end.
 */
export async function rehearseEndMarked(db: Queryable, query: CompleteBooked): Promise<readonly string[]> {
  const { ids, ...ended } = await one(db, rehearsedRow)`
    with ${affected(query, empty)},
    rest as materialized (
      select affected.id, affected.bar is null as post_booking, instance.status in ('active', 'paused') as live
        from affected join follow_up_instance as instance on instance.id = affected.id
       where not (instance.status in ('active', 'paused') and instance.lead_booked and not instance.post_booking))
    select (select count(*)::int from rest where live and post_booking) as "postBooking",
           (select count(*)::int from rest where live and not post_booking) as "byLeadStatus",
           (select count(*)::int from touch
             where instance_id = any(array(select id from rest)) and ${WOULD_BE_CANCELLED}) as "cancelledTouches",
           array(select id::text from rest where live) as ids`;
  query.report.endedPostBooking += ended.postBooking;
  query.report.endedByLeadStatus += ended.byLeadStatus;
  query.report.cancelledTouches += ended.cancelledTouches;
  return ids;
}
