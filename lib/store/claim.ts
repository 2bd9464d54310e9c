import * as z from "zod";
import type { BatchQuery, ClaimedPlan, DueCandidate, Plan } from "../run/ports.ts";
import type { Db } from "./connect.ts";
import { candidateOf, type DueRow, parseDueRows, parseSequence, type ReadSequence } from "./rows.ts";

/**
 * One transaction: locks due instances, earliest first and fair between workspaces, asks `plan` for each, and carries all
 * plans out. Rows that another transaction holds are passed over. A booking cannot commit between the decision and its
 * writing: it has to change the marker on the row that is locked here.
 */
export function claimDue(
  db: Db,
  query: BatchQuery,
  plan: (candidate: DueCandidate) => Plan,
): Promise<readonly ClaimedPlan[]> {
  return db.$transaction(
    async (transaction) => {
      const rows = await lockDue(transaction, query);
      if (rows.length === 0) return [];
      const sequences = await readSequences(transaction, rows);
      const plans = rows.map((row) => plan(candidateOf(row, sequences.get(row.sequence_id))));
      return await carryOut(transaction, plans, query.now);
    },
    { timeout: CLAIM_TIMEOUT_MS },
  );
}

const CLAIM_TIMEOUT_MS = 30_000;

/** Each workspace with something due gets the same share of the batch. The statuses are literals: the due index is partial. */
async function lockDue(db: Db, { now, limit, workspaceId }: BatchQuery): Promise<DueRow[]> {
  const rows = await db.$queryRaw`
    with due_workspace as materialized (
      select workspace.id
        from workspace
       where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid)
         and exists (
           select from follow_up_instance as instance
            where instance.workspace_id = workspace.id and instance.status = 'active'
              and (not instance.lead_booked or instance.post_booking) and instance.next_step_due <= ${now})),
    picked as materialized (
      select due.*
        from due_workspace
       cross join lateral (
         select id, workspace_id, lead_id, sequence_id, generation, position, next_step_due, held_since
           from follow_up_instance as instance
          where instance.workspace_id = due_workspace.id and instance.status = 'active'
            and (not instance.lead_booked or instance.post_booking) and instance.next_step_due <= ${now}
          order by instance.next_step_due, instance.id
          limit ceil(${limit}::numeric / (select count(*) from due_workspace))
            for no key update skip locked) as due
       order by due.next_step_due, due.id
       limit ${limit})
    select picked.*, lead.first_name, lead.last_name, lead.company, lead.email, lead.phone,
           lead.linkedin_connected_at, lead.time_zone, lead.status::text, lead.is_booked, lead.automation_enabled,
           lead.opted_out_at, lead.snoozed_until, lead.last_inbound_at, lead.last_outbound_at,
           lead.enrichment_status::text
      from picked
      join lead on lead.workspace_id = picked.workspace_id and lead.id = picked.lead_id
     order by picked.next_step_due, picked.id`;
  return parseDueRows(rows);
}

async function readSequences(db: Db, rows: readonly DueRow[]): Promise<ReadonlyMap<string, ReadSequence>> {
  const ids = [...new Set(rows.map((row) => row.sequence_id))];
  const sequences = await db.$queryRaw`
    select sequence.id, sequence.trigger_on::text, sequence.active, workspace.id as workspace_id,
           workspace.name as workspace_name, workspace.time_zone as workspace_time_zone, workspace.paused_at,
           workspace.ghosted_after_days,
           coalesce((
             select jsonb_agg(jsonb_build_object(
                      'id', step.id, 'position', step.position, 'delayMinutes', step.delay_minutes,
                      'channel', step.channel, 'condition', step.condition, 'subject', step.subject,
                      'body', step.body, 'needsApproval', step.needs_approval) order by step.position)
               from follow_up_step as step
              where step.sequence_id = sequence.id), '[]'::jsonb) as steps
      from follow_up_sequence as sequence
      join workspace on workspace.id = sequence.workspace_id
     where sequence.id = any(${ids}::uuid[])`;
  return new Map(z.array(z.unknown()).parse(sequences).map(parseSequence));
}

const carriedOutRow = z.object({ instance_id: z.uuid(), touch_id: z.uuid().nullable() });

/** Moves the instances and inserts the touches in one statement. A step that was claimed before gets no second touch. */
async function carryOut(db: Db, plans: readonly Plan[], now: Date): Promise<ClaimedPlan[]> {
  const states = plans.map(({ state }) => state);
  const rows = await db.$queryRaw`
    with plan as materialized (
      select * from unnest(
        ${plans.map(({ instanceId }) => instanceId)}::uuid[],
        ${states.map((state) => state.status)}::text[],
        ${states.map((state) => state.position)}::int[],
        ${states.map((state) => (state.status === "active" ? state.nextStepDue : null))}::timestamptz[],
        ${states.map((state) => (state.status === "active" ? (state.hold?.reason ?? null) : null))}::text[],
        ${states.map((state) => (state.status === "active" ? (state.hold?.since ?? null) : null))}::timestamptz[],
        ${states.map((state) => (state.status === "paused" ? state.reason : null))}::text[],
        ${states.map((state) => (state.status === "paused" ? state.lookAgainAt : null))}::timestamptz[],
        ${states.map((state) => (state.status === "completed" ? state.reason : null))}::text[],
        ${plans.map(({ touch }) => touch?.status ?? null)}::text[],
        ${plans.map(({ touch }) => touch?.stepId ?? null)}::uuid[],
        ${plans.map(({ touch }) => touch?.channel ?? null)}::text[],
        ${plans.map(({ touch }) => touch?.message.subject ?? null)}::text[],
        ${plans.map(({ touch }) => touch?.message.body ?? null)}::text[]
      ) as plan (instance_id, status, position, next_step_due, hold_reason, held_since, paused_reason, look_again_at,
                 completed_reason, touch_status, step_id, channel, subject, body)),
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
                         claimed_at, next_attempt_at)
      select moved.workspace_id, moved.id, moved.lead_id, plan.step_id, moved.generation, plan.channel::channel,
             plan.touch_status::touch_status, plan.subject, plan.body, ${now}::timestamptz,
             case when plan.touch_status = 'claimed' then ${now}::timestamptz end
        from plan join moved on moved.id = plan.instance_id
       where plan.touch_status is not null
          on conflict (instance_id, generation, step_id) do nothing
      returning id, instance_id)
    select moved.id as instance_id, touched.id as touch_id
      from moved left join touched on touched.instance_id = moved.id`;
  const carriedOut = z.array(carriedOutRow).parse(rows);
  return carriedOut.map(({ instance_id, touch_id }) => ({ instanceId: instance_id, touchId: touch_id }));
}

const countRow = z.object({ count: z.int() });

/** How many steps are due and not taken, counted up to `limit`. */
export async function countDue(db: Db, { now, limit, workspaceId }: BatchQuery): Promise<number> {
  const rows = await db.$queryRaw`
    select count(*)::int as count
      from (select from workspace
             join follow_up_instance as instance on instance.workspace_id = workspace.id
            where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid)
              and instance.status = 'active' and (not instance.lead_booked or instance.post_booking)
              and instance.next_step_due <= ${now}
            limit ${limit}) as due`;
  return z.tuple([countRow]).parse(rows)[0].count;
}
