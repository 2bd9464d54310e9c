import * as z from "zod";
import type { OutgoingTouch } from "../run/delivery-ports.ts";
import type { ClaimedPlan, ClaimQuery, Plan } from "../run/ports.ts";
import { Prisma } from "./generated/client.ts";
import { column, type Queryable } from "./queryable.ts";
import type { DueRow } from "./rows.ts";
import { lastTouchesBy, threadOf } from "./start-sending.ts";

/** What was decided on a due row. */
export interface Decided {
  readonly row: DueRow;
  readonly plan: Plan;
}

const touchedRow = z.object({
  instance_id: z.guid(),
  touch_id: z.guid(),
  begun: z.boolean(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  email_from: z.string().nullable(),
  thread: z.array(z.string()),
});

/**
 * Moves the instances and inserts the touches in one statement. A step that was claimed before gets no second touch.
 *
 * The first `begin` touches are inserted as `sending`, each with its lead locked and stamped: nothing has to be judged again,
 * for the lead is in the very version that the decision saw. Where it is not, where somebody is changing it at this moment,
 * or where a workspace or a sequence was switched off meanwhile, the touch is left claimed, and `startSending` judges it;
 * so nobody ever waits here.
 */
export async function carryOut(
  db: Queryable,
  decided: readonly Decided[],
  { now, lookAgainAt, begin }: ClaimQuery,
): Promise<ClaimedPlan[]> {
  const plans = decided.map(({ plan }) => plan);
  const states = plans.map(({ state }) => state);
  const begins = firstOfEachLead(decided, begin);
  const rows = await db.$queryRaw`
    with plan as materialized (
      select * from unnest(
        ${plans.map(({ instanceId }) => instanceId)}::uuid[],
        ${column(decided.map((one) => (begins.has(one) ? one.row.lead_id : null)))}::uuid[],
        ${column(decided.map((one) => (begins.has(one) ? one.row.lead_version : null)))}::text[]::xid[],
        ${states.map((state) => state.status)}::text[],
        ${states.map((state) => state.position)}::int[],
        ${column(states.map((state) => (state.status === "active" ? state.nextStepDue : null)))}::timestamptz[],
        ${column(states.map((state) => (state.status === "active" ? (state.hold?.reason ?? null) : null)))}::text[],
        ${column(states.map((state) => (state.status === "active" ? (state.hold?.since ?? null) : null)))}::timestamptz[],
        ${column(states.map((state) => (state.status === "paused" ? state.reason : null)))}::text[],
        ${column(states.map((state) => (state.status === "paused" ? state.lookAgainAt : null)))}::timestamptz[],
        ${column(states.map((state) => (state.status === "completed" ? state.reason : null)))}::text[],
        ${column(plans.map(({ touch }) => touch?.status ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.stepId ?? null))}::uuid[],
        ${column(plans.map(({ touch }) => touch?.channel ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.message.subject ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.message.body ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.outboundBefore ?? null))}::timestamptz[],
        ${column(plans.map(({ touch }) => touch?.sendUntil ?? null))}::timestamptz[],
        ${column(plans.map(({ touch }) => touch?.expiresAt ?? null))}::timestamptz[]
      ) as plan (instance_id, lead_id, lead_version, status, position, next_step_due, hold_reason, held_since,
                 paused_reason, look_again_at, completed_reason, touch_status, step_id, channel, subject, body,
                 outbound_before, send_until, expires_at)),
    held as materialized (
      select lead.id, lead.email, lead.phone, lead.last_email_at, workspace.email_from,
             greatest(lead.last_outbound_at, ${now}::timestamptz) as reached_at
        from plan
        join lead on lead.id = plan.lead_id
        join workspace on workspace.id = lead.workspace_id
        join follow_up_step as step on step.id = plan.step_id
        join follow_up_sequence as sequence on sequence.id = step.sequence_id
       where case when lead.xmin = plan.lead_version and workspace.paused_at is null and sequence.active then true end
         for no key update of lead skip locked),
    moved as (
      update follow_up_instance as instance
         set status = plan.status::instance_status, position = plan.position, next_step_due = plan.next_step_due,
             hold_reason = plan.hold_reason, held_since = plan.held_since,
             paused_reason = plan.paused_reason::paused_reason, look_again_at = plan.look_again_at,
             completed_at = case when plan.status = 'completed' then ${now}::timestamptz end,
             completed_reason = plan.completed_reason
        from plan
       where instance.id = plan.instance_id
      returning instance.id, instance.workspace_id, instance.lead_id, instance.generation),
    touched as (
      insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, subject, body,
                         claimed_at, outbound_before, send_until, expires_at, next_attempt_at, look_again_at,
                         attempts, tried_at)
      select moved.workspace_id, moved.id, moved.lead_id, plan.step_id, moved.generation, plan.channel::channel,
             case when held.id is not null then 'sending' else plan.touch_status end::touch_status,
             plan.subject, plan.body, ${now}::timestamptz, plan.outbound_before, plan.send_until, plan.expires_at,
             case when plan.touch_status = 'claimed' and held.id is null then ${now}::timestamptz end,
             case when plan.touch_status = 'claimed' then ${lookAgainAt}::timestamptz end,
             case when held.id is null then 0 else 1 end, held.reached_at
        from plan join moved on moved.id = plan.instance_id left join held on held.id = plan.lead_id
       where plan.touch_status is not null
          on conflict (instance_id, generation, step_id) do nothing
      returning id, workspace_id, instance_id, lead_id, generation, channel, status),
    reached as (
      update lead
         set last_outbound_at = held.reached_at,
             ${lastTouchesBy(Prisma.sql`touched.channel`, now)}
        from touched join held on held.id = touched.lead_id
       where touched.status = 'sending' and lead.id = held.id),
    noted as (
      insert into notification_event (workspace_id, kind, touch_id, happened_at)
      select workspace_id, 'approval_waiting', id, ${now} from touched where status = 'awaiting_approval')
    select touched.instance_id, touched.id as touch_id, touched.status = 'sending' as begun, held.email, held.phone, held.email_from,
           case when held.last_email_at is not null and channel = 'email' then ${threadOf(Prisma.sql`touched`)} else '{}' end as thread
      from touched
      left join held on held.id = touched.lead_id`;
  const touched = new Map(
    z
      .array(touchedRow)
      .parse(rows)
      .map((row) => [row.instance_id, row]),
  );
  return decided.map((one) => {
    const { instanceId } = one.plan;
    const row = touched.get(instanceId);
    return { instanceId, touchId: row?.touch_id ?? null, begun: row?.begun ? begunTouch(row, one) : null };
  });
}

/** Of several touches of one lead one begins. */
function firstOfEachLead(decided: readonly Decided[], most: number): ReadonlySet<Decided> {
  const first = new Map<string, Decided>();
  for (const one of decided) {
    if (first.size === most) break;
    if (one.plan.touch?.status === "claimed" && !first.has(one.row.lead_id)) first.set(one.row.lead_id, one);
  }
  return new Set(first.values());
}

function begunTouch(row: z.infer<typeof touchedRow>, decided: Decided): OutgoingTouch {
  const { touch } = decided.plan;
  if (!touch) throw new Error(`a touch begins that nobody planned, of instance ${row.instance_id}`);
  return {
    id: row.touch_id,
    workspaceId: decided.row.workspace_id,
    leadId: decided.row.lead_id,
    channel: touch.channel,
    failures: 0,
    from: row.email_from ?? "",
    email: row.email,
    phone: row.phone,
    message: touch.message,
    thread: row.thread,
  };
}
