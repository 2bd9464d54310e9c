import * as z from "zod";
import { NORMALISE } from "../domain/address.ts";
import type { LeadFacts } from "../domain/due-item.ts";
import { ADDRESS_KINDS, type AddressKind } from "../domain/labels.ts";
import { ownSenderOf } from "../domain/sender.ts";
import type { OutgoingTouch } from "../run/channel-ports.ts";
import type { ClaimedPlan, ClaimQuery, DueCandidate, Plan } from "../run/claim-ports.ts";
import { byAddress, lastTouchesBy } from "./columns.ts";
import { insertTouchEvents } from "./digests.ts";
import { column, join, many, type Queryable, raw, type Sql, sql } from "./sql.ts";
import { threadOf } from "./start-sending.ts";

const touchedRow = z.object({
  instanceId: z.string(),
  touchId: z.string(),
  from: z.string().nullable(),
  thread: z.array(z.string()).nullable(),
});

const hashOf = (kind: AddressKind): Sql => raw(`to_${kind}`);
const KINDS = join(ADDRESS_KINDS.map((kind) => raw(kind)));
const HASHES = join(ADDRESS_KINDS.map(hashOf));
const RECIPIENT = byAddress(sql`plan.channel`, hashOf);

/**
 * Moves the instances and inserts the touches in one statement. The caller has locked the instances and their leads. A
 * step that already has a touch gets no second one.
 *
 * Inserts the touches of plans that start as `sending` and stamps their leads. They need no recheck, because the locks
 * preserve what the decision saw. If the workspace or sequence was switched off or the address suppressed since, the
 * touch stays claimed, and `startSending` checks it.
 */
export async function writeClaims(
  db: Queryable,
  plans: readonly Plan[],
  { now, recheckAt }: Pick<ClaimQuery, "now" | "recheckAt">,
): Promise<ClaimedPlan[]> {
  const states = plans.map(({ state }) => state);
  const startedLeads = plans.map(({ candidate, starts }) => (starts ? readLeadOf(candidate) : null));
  const rows = await many(db, touchedRow)`
    with plan as materialized (
      select * from unnest(
        ${plans.map(({ candidate }) => candidate.instanceId)}::uuid[],
        ${startedLeads.map((lead) => lead !== null)}::boolean[],
        ${column(startedLeads.map((lead) => (lead?.lastTouchAt.email ? true : null)))}::boolean[],
        ${join(ADDRESS_KINDS.map((kind) => sql`${column(startedLeads.map((lead) => normalised(lead, kind)))}::text[]`))},
        ${states.map((state) => state.status)}::text[],
        ${states.map((state) => state.position)}::int[],
        ${column(states.map((state) => (state.status === "active" ? state.nextStepDue : null)))}::timestamptz[],
        ${column(states.map((state) => (state.status === "active" ? (state.hold?.reason ?? null) : null)))}::text[],
        ${column(states.map((state) => (state.status === "active" ? (state.hold?.since ?? null) : null)))}::timestamptz[],
        ${column(states.map((state) => (state.status === "paused" ? state.reason : null)))}::text[],
        ${column(states.map((state) => (state.status === "paused" ? state.recheckAt : null)))}::timestamptz[],
        ${column(states.map((state) => (state.status === "completed" ? state.reason : null)))}::text[],
        ${column(plans.map(({ touch }) => touch?.status ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.stepId ?? null))}::uuid[],
        ${column(plans.map(({ touch }) => touch?.channel ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.message.subject ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.message.body ?? null))}::text[],
        ${column(plans.map(({ touch }) => touch?.expectedOutboundAt ?? null))}::timestamptz[],
        ${column(plans.map(({ touch }) => touch?.sendUntil ?? null))}::timestamptz[],
        ${column(plans.map(({ touch }) => touch?.expiresAt ?? null))}::timestamptz[]
      ) as plan (instance_id, starts, has_thread, ${KINDS}, status, position, next_step_due, hold_reason, held_since,
                 paused_reason, recheck_at, completed_reason, touch_status, step_id, channel, subject, body,
                 expected_outbound_at, send_until, expires_at)),
    going as materialized (
      select step.id, step.workspace_id, workspace.email_from
        from follow_up_step as step
        join follow_up_sequence as sequence on sequence.id = step.sequence_id
        join workspace on workspace.id = step.workspace_id
       where step.id = any(${[...new Set(plans.flatMap(({ touch }) => touch?.stepId ?? []))]}::uuid[])
         and sequence.active and workspace.paused_at is null),
    started as materialized (
      select plan.instance_id, ${RECIPIENT} as recipient_hash
        from plan
        join going on going.id = plan.step_id
       cross join lateral (
         select ${join(ADDRESS_KINDS.map((kind) => sql`suppression_hash(going.workspace_id, plan.${raw(kind)})`))}
          offset 0) as hashes (${HASHES})
       where plan.starts and not exists (
         select from suppression where workspace_id = going.workspace_id and hash in (${HASHES}))),
    moved as (
      update follow_up_instance as instance
         set status = plan.status::instance_status, position = plan.position, next_step_due = plan.next_step_due,
             hold_reason = plan.hold_reason, held_since = plan.held_since,
             paused_reason = plan.paused_reason::paused_reason, recheck_at = plan.recheck_at,
             completed_at = case when plan.status = 'completed' then ${now}::timestamptz end,
             completed_reason = plan.completed_reason
        from plan
       where instance.id = plan.instance_id
      returning instance.id, instance.workspace_id, instance.lead_id, instance.generation),
    touched as (
      insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, subject, body,
                         claimed_at, expected_outbound_at, send_until, expires_at, next_attempt_at, recheck_at,
                         attempts, last_attempt_at, recipient_hash)
      select moved.workspace_id, moved.id, moved.lead_id, plan.step_id, moved.generation, plan.channel::channel,
             case when started.instance_id is not null then 'sending' else plan.touch_status end::touch_status,
             plan.subject, plan.body, ${now}::timestamptz, plan.expected_outbound_at, plan.send_until, plan.expires_at,
             case when plan.touch_status = 'claimed' and started.instance_id is null then ${now}::timestamptz end,
             case when plan.touch_status = 'claimed' then ${recheckAt}::timestamptz end,
             (started.instance_id is not null)::int,
             case when started.instance_id is not null then ${now}::timestamptz end, started.recipient_hash
        from plan
        join moved on moved.id = plan.instance_id
        left join started on started.instance_id = plan.instance_id
       where plan.touch_status is not null
          on conflict (instance_id, generation, step_id) do nothing
      returning id, workspace_id, instance_id, lead_id, step_id, generation, channel, status),
    reached as (
      update lead
         set last_outbound_at = ${now},
             ${lastTouchesBy(sql`touched.channel`, now)}
        from touched
       where touched.status = 'sending' and lead.id = touched.lead_id),
    event as (${insertTouchEvents("approval_waiting", now, sql`from touched where status = 'awaiting_approval'`)})
    select touched.instance_id as "instanceId", touched.id as "touchId",
           case when touched.status = 'sending' then going.email_from end as "from",
           case when plan.has_thread and touched.channel = 'email' then ${threadOf(sql`touched`)} end as thread
      from touched
      join plan on plan.instance_id = touched.instance_id
      left join going on going.id = touched.step_id`;
  const touched = new Map(rows.map((row) => [row.instanceId, row]));
  return plans.map((plan) => {
    const row = touched.get(plan.candidate.instanceId);
    return { plan, touchId: row?.touchId ?? null, started: row ? startedTouch(row, plan, now) : null };
  });
}

const normalised = (lead: LeadFacts | null, kind: AddressKind): string | null => {
  const stored = lead?.[kind];
  return stored ? NORMALISE[kind](stored) : null;
};

const readLeadOf = ({ read }: DueCandidate): LeadFacts | null => ("item" in read ? read.item.lead : null);

/** Null if the touch stays claimed. */
function startedTouch(row: z.infer<typeof touchedRow>, { candidate, touch }: Plan, now: Date): OutgoingTouch | null {
  const lead = readLeadOf(candidate);
  if (row.from === null || !touch || !lead) return null;
  return {
    id: row.touchId,
    workspaceId: candidate.workspaceId,
    leadId: lead.id,
    channel: touch.channel,
    failures: 0,
    deferredSince: null,
    waitingSince: now,
    from: row.from,
    ownSender: ownSenderOf(lead),
    email: lead.email,
    phone: lead.phone,
    message: touch.message,
    thread: row.thread ?? [],
  };
}
