import { insertTouchEvents } from "./digests.ts";
import { type Sql, sql } from "./sql.ts";

interface Stop {
  /** An array of the ids of stopped instances. */
  readonly instanceIds: Sql;
  /** A text expression that may refer to `touch`. */
  readonly reason: Sql;
  readonly now: Date;
}

/**
 * CTEs that cancel the unsent touches of instances. `cancelled` holds them. Touches that may have arrived become
 * `unknown` instead, and appear in the digest.
 */
export const cancelUnsentTouches = ({ instanceIds, reason, now }: Stop): Sql => sql`
    unsent as (
      update touch
         set status = case when touch.unknown_attempt_at is null then 'cancelled' else 'unknown' end::touch_status,
             reason = ${reason}, next_attempt_at = null, recheck_at = null
       where instance_id = any(${instanceIds}) and status in ('claimed', 'awaiting_approval')
      returning id, workspace_id, instance_id, status),
    cancelled as (select * from unsent where status = 'cancelled'),
    doubtful as (${insertTouchEvents("touch_unknown", now, sql`from unsent where status = 'unknown'`)})`;

/** Whether `cancelUnsentTouches` would cancel a touch. */
export const WOULD_BE_CANCELLED = sql`status in ('claimed', 'awaiting_approval') and unknown_attempt_at is null`;

/** Same, and closes the open tasks of the instances. Skips tasks that a person is changing. */
export const cancelTouchesAndTasks = (stop: Stop): Sql => sql`
    ${cancelUnsentTouches(stop)},
    open_task as materialized (
      select task.id
        from touch
        join task on task.workspace_id = touch.workspace_id and task.touch_id = touch.id
       where touch.instance_id = any(${stop.instanceIds}) and touch.channel = 'task'
         and task.done_at is null and task.cancelled_at is null
         for no key update of task skip locked),
    closed as (
      update task set cancelled_at = ${stop.now} where id = any(array(select id from open_task)))`;
