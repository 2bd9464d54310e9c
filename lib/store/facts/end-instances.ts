import * as z from "zod";
import { one, type Queryable, sql } from "../sql.ts";
import { endUnsent } from "../unsent-touches.ts";

export interface Ending {
  readonly workspaceId: string;
  readonly leadIds: readonly string[];
  /** Only post-booking sequences, or all sequences. */
  readonly which: "post_booking" | "all";
  readonly status: "completed" | "cancelled";
  readonly reason: "meeting_cancelled" | "meeting_missed" | "opted_out" | "complained";
  readonly now: Date;
}

const row = z.object({ ended: z.int(), cancelledTouches: z.int() });
export type Ended = z.infer<typeof row>;

/** Ends live instances of locked leads. Also cancels unsent touches of instances that had already ended. */
export async function endInstances(db: Queryable, ending: Ending): Promise<Ended> {
  const { workspaceId, leadIds, which, status, reason, now } = ending;
  return await one(db, row)`
    with meant as materialized (
      select id, status in ('active', 'paused') as live
        from follow_up_instance
       where workspace_id = ${workspaceId}::uuid and lead_id = any(${[...leadIds]}::uuid[])
         and (post_booking or ${which} = 'all')
       order by id
         for no key update),
    changed as (
      update follow_up_instance
         set status = ${status}::instance_status, completed_at = ${now}, completed_reason = ${reason},
             next_step_due = null, paused_reason = null
       where id = any(array(select id from meant where live))),
    ${endUnsent({ instanceIds: sql`array(select id from meant)`, reason: sql`${reason}`, now })}
    select (select count(*)::int from meant where live) as ended, (select count(*)::int from cancelled) as "cancelledTouches"`;
}
