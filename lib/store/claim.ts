import * as z from "zod";
import { capDayOf } from "../domain/send-times.ts";
import type { BatchQuery, ClaimedPlan, ClaimQuery, DueCandidate, DueWorkspace, Plan } from "../run/ports.ts";
import { LEAD_COLUMNS, readSequences } from "./due-items.ts";
import type { Queryable, Transactional } from "./queryable.ts";
import { candidateOf, type DueRow, instant, parseDueRows, type ReadSequence, walkedBy } from "./rows.ts";

const dueWorkspaceRow = z.object({ id: z.uuid(), capped: z.boolean(), oldest_due: instant });

/** The workspaces in which something is due, that with the oldest first: one look at an index for each workspace. */
export async function findDueWorkspaces(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
): Promise<DueWorkspace[]> {
  const rows = await db.$queryRaw`
    select workspace.id, workspace.daily_cap is not null as capped, oldest.next_step_due as oldest_due
      from workspace
     cross join lateral (
       select next_step_due from follow_up_instance as instance
        where instance.workspace_id = workspace.id and instance.status = 'active'
          and (not instance.lead_booked or instance.post_booking) and instance.next_step_due <= ${now}
        order by instance.next_step_due
        limit 1) as oldest
     where ${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid
     order by oldest.next_step_due
     limit ${limit}`;
  return z
    .array(dueWorkspaceRow)
    .parse(rows)
    .map(({ id, capped, oldest_due }) => ({ id, capped, oldestDue: oldest_due }));
}

/**
 * One transaction: locks due instances, earliest first and the same share for each workspace, asks `plan` for each, and
 * carries all plans out. Rows that another transaction holds are passed over. A booking cannot commit between the
 * decision and its writing: it has to change the marker on the row that is locked here.
 */
export function claimDue(
  db: Transactional,
  query: ClaimQuery,
  plan: (candidate: DueCandidate) => Plan,
): Promise<readonly ClaimedPlan[]> {
  return db.transaction(async (transaction) => {
    const capped = query.workspaces.filter((workspace) => workspace.capped).map(({ id }) => id);
    // Before any instance, and in one order: two claims that want the same cap wait here and nowhere else.
    if (capped.length > 0) await lockCaps(transaction, capped);
    const rows = await lockDue(transaction, query);
    if (rows.length === 0) return [];
    const sequences = await readSequences(transaction, rows, query.now);
    const plans = rows.map((row) => plan(candidateOf(row, sequences.get(walkedBy(row)))));
    const carriedOut = await carryOut(transaction, plans, query);
    if (capped.length > 0) await useCaps(transaction, plans, sequences, query.now);
    return carriedOut;
  });
}

/** The statuses are literals: the due index is partial. From `after` on, as dead entries may lie before it. */
async function lockDue(db: Queryable, { now, share, workspaces }: ClaimQuery): Promise<DueRow[]> {
  const rows = await db.$queryRaw`
    with due_workspace as materialized (
      select * from unnest(
        ${workspaces.map(({ id }) => id)}::uuid[],
        ${workspaces.map(({ after }) => after?.nextStepDue ?? null)}::timestamptz[],
        ${workspaces.map(({ after }) => after?.instanceId ?? NIL)}::uuid[]) as due_workspace (id, after_due, after_id)),
    picked as materialized (
      select due.*
        from due_workspace
       cross join lateral (
         select id, workspace_id, lead_id, sequence_id, version, generation, position, next_step_due, held_since
           from follow_up_instance as instance
          where instance.workspace_id = due_workspace.id and instance.status = 'active'
            and (not instance.lead_booked or instance.post_booking) and instance.next_step_due <= ${now}
            and (instance.next_step_due, instance.id)
              > (coalesce(due_workspace.after_due, '-infinity'), due_workspace.after_id)
          order by instance.next_step_due, instance.id
          limit ${share}
            for no key update skip locked) as due)
    select picked.*, ${LEAD_COLUMNS}
      from picked
      join lead on lead.workspace_id = picked.workspace_id and lead.id = picked.lead_id
     order by picked.next_step_due, picked.id`;
  return parseDueRows(rows);
}

const NIL = "00000000-0000-0000-0000-000000000000";

async function lockCaps(db: Queryable, workspaceIds: readonly string[]): Promise<void> {
  await db.$executeRaw`
    select from workspace where id = any(${[...workspaceIds]}::uuid[]) order by id for no key update`;
}

/** Counts the touches of this claim into the caps of its workspaces, which are locked. */
async function useCaps(
  db: Queryable,
  plans: readonly Plan[],
  sequences: ReadonlyMap<string, ReadSequence>,
  now: Date,
): Promise<void> {
  const used = Map.groupBy(
    plans.filter(({ touch }) => touch !== null),
    ({ workspaceId }) => workspaceId,
  );
  const workspaces = [...sequences.values()].flatMap((read) => ("workspace" in read ? [read.workspace] : []));
  const counted = [...new Set(workspaces)].filter(({ id, dailyCap }) => dailyCap !== null && used.has(id));
  await db.$executeRaw`
    update workspace set cap_day = counted.day, cap_used = counted.used
      from unnest(
        ${counted.map(({ id }) => id)}::uuid[],
        ${counted.map(({ timeZone }) => capDayOf(timeZone, now))}::date[],
        ${counted.map(({ id, dailyCapUsed }) => dailyCapUsed + (used.get(id)?.length ?? 0))}::int[]
      ) as counted (id, day, used)
     where workspace.id = counted.id`;
}

const carriedOutRow = z.object({ instance_id: z.uuid(), touch_id: z.uuid().nullable() });

/** Moves the instances and inserts the touches in one statement. A step that was claimed before gets no second touch. */
async function carryOut(
  db: Queryable,
  plans: readonly Plan[],
  { now, lookAgainAt }: ClaimQuery,
): Promise<ClaimedPlan[]> {
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
        ${plans.map(({ touch }) => touch?.message.body ?? null)}::text[],
        ${plans.map(({ touch }) => touch?.outboundBefore ?? null)}::timestamptz[],
        ${plans.map(({ touch }) => touch?.sendUntil ?? null)}::timestamptz[],
        ${plans.map(({ touch }) => touch?.expiresAt ?? null)}::timestamptz[]
      ) as plan (instance_id, status, position, next_step_due, hold_reason, held_since, paused_reason, look_again_at,
                 completed_reason, touch_status, step_id, channel, subject, body, outbound_before,
                 send_until, expires_at)),
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
                         claimed_at, outbound_before, send_until, expires_at, next_attempt_at, look_again_at)
      select moved.workspace_id, moved.id, moved.lead_id, plan.step_id, moved.generation, plan.channel::channel,
             plan.touch_status::touch_status, plan.subject, plan.body, ${now}::timestamptz, plan.outbound_before,
             plan.send_until, plan.expires_at, case when plan.touch_status = 'claimed' then ${now}::timestamptz end,
             case when plan.touch_status = 'claimed' then ${lookAgainAt}::timestamptz end
        from plan join moved on moved.id = plan.instance_id
       where plan.touch_status is not null
          on conflict (instance_id, generation, step_id) do nothing
      returning id, workspace_id, instance_id, status),
    noted as (
      insert into notification_event (workspace_id, kind, touch_id, happened_at)
      select workspace_id, 'approval_waiting', id, ${now} from touched where status = 'awaiting_approval')
    select moved.id as instance_id, touched.id as touch_id
      from moved left join touched on touched.instance_id = moved.id`;
  const carriedOut = z.array(carriedOutRow).parse(rows);
  return carriedOut.map(({ instance_id, touch_id }) => ({ instanceId: instance_id, touchId: touch_id }));
}

const countRow = z.object({ count: z.int() });

/** How many steps are due and not taken, counted up to `limit`. */
export async function countDue(db: Queryable, { now, limit, workspaceId }: BatchQuery): Promise<number> {
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
