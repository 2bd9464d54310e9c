import { type Sql, sql } from "./sql.ts";

/**
 * The final status of a `touch` that will not be sent: `status`, or `unknown` if an earlier attempt may have arrived.
 */
export const endedAs = (status: Sql): Sql => sql`
  case when touch.unknown_attempt_at is null then ${status} else 'unknown' end::touch_status`;

interface Ending {
  /** An array of the ids of stopped instances. */
  readonly instanceIds: Sql;
  /** A text expression that may refer to `touch`. */
  readonly reason: Sql;
  readonly now: Date;
}

/**
 * CTEs that end the unsent touches of stopped instances and close their open tasks. `cancelled` holds the cancelled
 * touches. Touches that may have arrived become `unknown` and appear in the digest. Skips tasks that a person is
 * changing.
 */
export const endUnsent = ({ instanceIds, reason, now }: Ending): Sql => sql`
    unsent as (
      update touch
         set status = ${endedAs(sql`'cancelled'`)}, reason = ${reason}, next_attempt_at = null, recheck_at = null
       where instance_id = any(${instanceIds}) and status in ('claimed', 'awaiting_approval')
      returning id, workspace_id, instance_id, status),
    cancelled as (select * from unsent where status = 'cancelled'),
    doubtful as (
      insert into notification_event (workspace_id, kind, touch_id, occurred_at)
      select workspace_id, 'touch_unknown', id, ${now} from unsent where status = 'unknown'),
    open_task as materialized (
      select task.id
        from touch
        join task on task.workspace_id = touch.workspace_id and task.touch_id = touch.id
       where touch.instance_id = any(${instanceIds}) and touch.channel = 'task'
         and task.done_at is null and task.cancelled_at is null
         for no key update of task skip locked),
    closed as (
      update task set cancelled_at = ${now} where id = any(array(select id from open_task)))`;
