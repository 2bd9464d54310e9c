import * as z from "zod";
import type { WorkspaceFacts } from "../domain/due-item.ts";
import { capDayOf } from "../domain/send-times.ts";
import type {
  BatchQuery,
  ClaimedPlan,
  ClaimQuery,
  ClosedChannel,
  DueCandidate,
  DueWorkspace,
  Plan,
  PlanCandidates,
} from "../run/claim-ports.ts";
import { advanceInstances } from "./advance-instances.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { isLockTimeout } from "./database-errors.ts";
import { type RecordedOffer, recordOffers } from "./offered-times.ts";
import { type DueRow, parseDueRows, storedInstant } from "./rows.ts";
import { column, empty, execute, many, one, type Queryable, type Sql, sql, type Transactional } from "./sql.ts";
import { writeClaims } from "./write-claims.ts";

const dueWorkspaceRow = z.object({ id: z.guid(), capped: z.boolean(), oldestDue: storedInstant });

/** The workspaces with due steps, the one with the oldest first. Uses one index lookup per workspace. */
export async function findDueWorkspaces(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
): Promise<DueWorkspace[]> {
  return await many(db, dueWorkspaceRow)`
    select workspace.id, workspace.daily_cap is not null as capped, oldest.next_step_due as "oldestDue"
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
}

/**
 * In one transaction, locks due instances with their leads, calls `plan` with all of them and writes its plans. Takes
 * the earliest first, and the same share of each workspace. An instance without a plan stays unchanged. Skips
 * instances and leads that another transaction holds, and capped workspaces whose lock is not released in time. A
 * booking, reply or opt-out cannot commit between the decision and its write: it must change a row that is locked
 * here.
 */
export async function claimDue(
  db: Transactional,
  query: ClaimQuery,
  plan: PlanCandidates,
): Promise<readonly ClaimedPlan[]> {
  try {
    return await claim(db, query, plan, waitForCaps);
  } catch (thrown) {
    if (!(thrown instanceof CapsHeld)) throw thrown;
    return await claim(db, query, plan, lockFreeCaps);
  }
}

function claim(
  db: Transactional,
  query: ClaimQuery,
  plan: PlanCandidates,
  lockCaps: LockCaps,
): Promise<readonly ClaimedPlan[]> {
  return db.transaction(async (transaction) => {
    const capped = query.workspaces.filter((workspace) => workspace.capped).map(({ id }) => id);
    // Lock caps before instances and in id order: two claims wait for each other only here.
    const locked = new Set(capped.length > 0 ? await lockCaps(transaction, capped) : []);
    const workspaces = query.workspaces.filter((workspace) => !workspace.capped || locked.has(workspace.id));
    const rows = await readDue(transaction, { ...query, workspaces }, locking(query.without ?? []));
    if (rows.length === 0) return [];
    const plans = plan(inTurn(await readCandidates(transaction, rows, query.now)));
    if (plans.length === 0) return [];
    const claimed = await writeClaims(transaction, plans, query);
    await recordOffers(transaction, claimed.flatMap(offerClaimed));
    await advanceWithoutApproval(transaction, claimed, query.now);
    if (capped.length > 0) await useCaps(transaction, plans, query.now);
    return claimed;
  });
}

const offerClaimed = ({ plan: { touch }, touchId }: ClaimedPlan): readonly RecordedOffer[] =>
  touch?.offer && touchId !== null ? [{ touchId, offer: touch.offer }] : [];

/** Puts the step that has waited longest first, so that it gets what is left of a cap, and its lead's next touch. */
export const inTurn = (candidates: readonly DueCandidate[]): readonly DueCandidate[] =>
  candidates.toSorted((one, other) => dueSince(one) - dueSince(other));

/** When a step was due before any hold. */
const dueSince = ({ heldSince, nextStepDue }: DueCandidate): number => (heldSince ?? nextStepDue).getTime();

/**
 * Moves instances on whose step already had a touch, so that no new one waits for approval. Leaves those whose earlier
 * touch still waits.
 */
async function advanceWithoutApproval(
  transaction: Queryable,
  claimed: readonly ClaimedPlan[],
  now: Date,
): Promise<void> {
  const refused = claimed.flatMap(({ plan: { touch, candidate }, touchId }) =>
    touch?.status === "awaiting_approval" && touchId === null ? [candidate] : [],
  );
  if (refused.length === 0) return;
  const waiting = await many(transaction, z.object({ instanceId: z.guid() }))`
    select instance_id as "instanceId" from touch
     where instance_id = any(${refused.map(({ instanceId }) => instanceId)}::uuid[]) and status = 'awaiting_approval'`;
  const stillWaiting = new Set(waiting.map(({ instanceId }) => instanceId));
  const passed = refused.filter(({ instanceId }) => !stillWaiting.has(instanceId));
  await advanceInstances(transaction, passed, now);
}

/**
 * Literal statuses match the partial due index. Starts at `after` to skip dead index entries. Reads up to twice the
 * share, so that a lead that another transaction holds takes no place. The LIMIT also prevents a full sort.
 */
export async function readDue(
  db: Queryable,
  { now, share, workspaces }: Pick<ClaimQuery, "now" | "share" | "workspaces">,
  { locking, also }: { readonly locking: Sql; readonly also: Sql },
): Promise<DueRow[]> {
  const rows = await many(db, z.unknown())`
    select due.*
      from unnest(
        ${workspaces.map(({ id }) => id)}::uuid[],
        ${workspaces.map(({ after }) => after?.nextStepDue ?? null)}::timestamptz[],
        ${workspaces.map(({ after }) => after?.instanceId ?? NIL)}::uuid[]) as due_workspace (id, after_due, after_id)
     cross join lateral (
       select ${candidateColumns(now)}
         from (select * from follow_up_instance as instance
                where instance.workspace_id = due_workspace.id and instance.status = 'active'
                  and (not instance.lead_booked or instance.post_booking) and instance.next_step_due <= ${now}
                  and (instance.next_step_due, instance.id)
                    > (coalesce(due_workspace.after_due, '-infinity'), due_workspace.after_id)
                  ${also}
                order by instance.next_step_due, instance.id
                limit ${2 * share}
                  ${locking}) as instance
        cross join lateral (
          select * from lead
           where lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
             ${locking}) as lead
        limit ${share}) as due
     order by due.next_step_due, due.id`;
  return parseDueRows(rows);
}

/** Skips rows that another transaction holds, and instances whose next step is on a channel of `without`. */
const locking = (without: readonly ClosedChannel[]) => ({
  locking: sql`for no key update skip locked`,
  also: without.length === 0 ? empty : sql`and ${notOf(without)}`,
});

/** Whether the next step of `instance` is on none of these channels; true if no step is left, so that it completes. */
const notOf = (closed: readonly ClosedChannel[]): Sql => sql`
  not exists (
    select from unnest(
        ${closed.map(({ channel }) => channel)}::text[],
        ${column(closed.map(({ workspaceId }) => workspaceId))}::uuid[]) as closed (channel, workspace_id)
     where coalesce(closed.workspace_id, instance.workspace_id) = instance.workspace_id
       and closed.channel = (
         select step.channel::text from follow_up_step as step
          where step.sequence_id = instance.sequence_id and step.version = instance.version
            and step.position >= instance.position
          order by step.position
          limit 1))`;

const NIL = "00000000-0000-0000-0000-000000000000";

/** Returns the workspaces that it locked. */
type LockCaps = (db: Queryable, workspaceIds: readonly string[]) => Promise<readonly string[]>;

/** Another transaction holds a capped workspace for longer than a claim would. */
class CapsHeld extends Error {}

/** Another claim releases the lock in milliseconds; an open psql transaction may not. */
const waitForCaps: LockCaps = async (db, workspaceIds) => {
  await execute(db)`set local lock_timeout = '2s'`;
  try {
    await execute(db)`select from workspace where id = any(${workspaceIds}::uuid[]) order by id for no key update`;
  } catch (cause) {
    throw isLockTimeout(cause) ? new CapsHeld("a workspace with a cap is held", { cause }) : cause;
  }
  await execute(db)`set local lock_timeout to default`;
  return workspaceIds;
};

const lockFreeCaps: LockCaps = async (db, workspaceIds) => {
  const free = await many(db, z.object({ id: z.guid() }))`
    select id from workspace where id = any(${workspaceIds}::uuid[]) order by id for no key update skip locked`;
  return free.map(({ id }) => id);
};

/** Adds the touches of this claim to the caps of its workspaces, which are locked. */
async function useCaps(db: Queryable, plans: readonly Plan[], now: Date): Promise<void> {
  const used = new Map<WorkspaceFacts, number>();
  for (const { touch, candidate } of plans) {
    if (!touch || !("item" in candidate.read)) continue;
    const { workspace } = candidate.read.item;
    if (workspace.dailyCap !== null) used.set(workspace, (used.get(workspace) ?? 0) + 1);
  }
  const counted = [...used];
  await execute(db)`
    update workspace set cap_day = counted.day, cap_used = counted.used
      from unnest(
        ${counted.map(([{ id }]) => id)}::uuid[],
        ${counted.map(([{ timeZone }]) => capDayOf(timeZone, now))}::date[],
        ${counted.map(([{ dailyCapUsed }, touches]) => dailyCapUsed + touches)}::int[]
      ) as counted (id, day, used)
     where workspace.id = counted.id`;
}

/** Number of due steps that are not claimed, up to `limit`. */
export async function countDue(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
  also: Sql = empty,
): Promise<number> {
  const { count } = await one(db, z.object({ count: z.int() }))`
    select count(*)::int as count
      from (select from workspace
             join follow_up_instance as instance on instance.workspace_id = workspace.id
            where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid)
              and instance.status = 'active' and (not instance.lead_booked or instance.post_booking)
              and instance.next_step_due <= ${now} ${also}
            limit ${limit}) as due`;
  return count;
}
