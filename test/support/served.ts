import type { OutgoingTouch } from "../../lib/run/channel-ports.ts";
import type { Sql } from "./factories.ts";
import { NOW, type TenantCopy } from "./whole-tenant.ts";

/** The states of a tenant's leads by role, without the values that differ between tenants. */
export type Served = Readonly<Record<string, string>>;

/** The touches and digests that reached the providers. */
export interface Reached {
  readonly touches: readonly OutgoingTouch[];
  /** The workspace of each digest that was sent. */
  readonly told: readonly string[];
}

/** Marks a state that is due and still waits for a run. */
export const LEFT = "LEFT";

/** The state of a tenant after a run. */
export async function servedOf(sql: Sql, { id, leads }: TenantCopy, { touches, told }: Reached): Promise<Served> {
  const roles = new Map([...leads].map(([role, leadId]) => [leadId, role]));
  const { rows } = await sql.query<{ lead_id: string | null; what: string; state: string }>(
    `select lead_id, case when post_booking then 'prepared' else 'chased' end as what,
            concat_ws(' ', status, position, paused_reason, completed_reason, hold_reason,
              case when status = 'active' and next_step_due <= $2 or status in ('active', 'paused') and lead_booked and not post_booking
                   then $3 end) as state
       from follow_up_instance where workspace_id = $1
     union all
     select lead_id, 'touched',
            string_agg(concat_ws(' ', channel, status, reason, case when recheck_at <= $2 then $3 end), ', ' order by channel, status)
       from touch where workspace_id = $1 group by lead_id
     union all
     select null, 'told ' || count(*) || ' in',
            string_agg(concat_ws(' ', channel, status, reason, case when recheck_at <= $2 then $3 end), ', ' order by channel, status)
       from digest_delivery where workspace_id = $1
     union all
     select null, 'window', case when next_digest_at <= $2 then $3 else 'open' end from workspace where id = $1`,
    [id, NOW, LEFT],
  );
  const states = rows.map(({ lead_id: leadId, what, state }): [string, string] => [
    `${leadId === null ? "" : `${roles.get(leadId)}, `}${what}`,
    what === "touched" ? `${state}; ${touches.filter((touch) => touch.leadId === leadId).length} sent` : state,
  ]);
  states.push(["digests", `${told.filter((to) => to === id).length} sent`]);
  return Object.fromEntries(states.sort(([one], [other]) => (one < other ? -1 : 1)));
}
