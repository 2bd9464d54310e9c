import * as z from "zod";
import { REPEATABLE_CHANNELS } from "../domain/labels.ts";
import type {
  BatchQuery,
  ClaimedPlan,
  ClaimQuery,
  DueCandidate,
  DueWorkspace,
  Plan,
  PlanCandidates,
} from "../run/claim-ports.ts";
import type { Leftover } from "../run/delivery-ports.ts";
import type { FollowUpStore, ResumableReason } from "../run/store-ports.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { countDue, findDueWorkspaces, inTurn, readDue } from "./claim.ts";
import { CHANNEL_IS_KNOWN } from "./columns.ts";
import { rehearseDigests } from "./digest-windows.ts";
import { countDigests } from "./digests.ts";
import { rehearseGuardrail } from "./guardrail.ts";
import { rehearseCompleteBooked } from "./rehearse-backstop.ts";
import { rehearseResume } from "./resume.ts";
import { type DueRow, parseDueRows } from "./rows.ts";
import { empty, many, one, type Queryable, type Sql, sql, type Transactional } from "./sql.ts";
import { findSendableWorkspaces, leftoverRow } from "./touches.ts";

type Rehearsed = Pick<
  FollowUpStore,
  | "completeBooked"
  | "resumePaused"
  | "checkGuardrail"
  | "findDueWorkspaces"
  | "claimDue"
  | "countDue"
  | "expireApprovals"
  | "expireLeases"
  | "findSendableWorkspaces"
  | "countSendable"
  | "findLeftovers"
  | "claimAgain"
  | "closeDigestWindows"
  | "expireDigestLeases"
  | "countDigests"
>;

/**
 * The dry-run versions of the store's writing methods: they compute the effect and write nothing. Remembers what
 * earlier steps would have changed, for the steps that build on it. On its first call, each method does all its work and
 * ignores the limit; the next call finds nothing. Only claims continue page by page.
 */
export function rehearsal(db: Transactional): Rehearsed {
  const ended: string[] = [];
  const resumed = new Map<string, string[]>();
  const paused = new Set<string>();
  const claims = new RehearsedClaims(ended, resumed, paused);
  const digests = { toMake: 0 };
  const first = firstOfEach();
  const resume = (reason: ResumableReason, query: BatchQuery) =>
    safely(db, async (part) => {
      if (!first(reason)) return { checked: 0, resumed: 0, skippedSteps: 0 };
      const rehearsed = await rehearseResume(part, reason, query, ended);
      for (const [id, ids] of rehearsed.resumed) resumed.set(id, [...(resumed.get(id) ?? []), ...ids]);
      return rehearsed.report;
    });
  return {
    completeBooked: (query) =>
      safely(db, async (part) => void ended.push(...(await rehearseCompleteBooked(part, query)))),
    resumePaused: resume,
    checkGuardrail: (query, exceeded) =>
      safely(db, async (part) => {
        const outcome = await rehearseGuardrail(part, query, exceeded);
        if (outcome?.excess) paused.add(query.workspaceId);
        return outcome;
      }),
    findDueWorkspaces: (query) => safely(db, (part) => claims.findWorkspaces(part, query)),
    claimDue: (query, plan) => safely(db, (part) => claims.claim(part, query, plan)),
    countDue: (query) => safely(db, (part) => claims.countLeft(part, query)),
    expireApprovals: (query) => safely(db, (part) => (first("waiting") ? countExpiring(part, query) : none())),
    expireLeases: (query) =>
      safely(db, (part) =>
        first("leases") ? countDeadLeases(part, query) : Promise.resolve({ unknown: 0, reclaimed: 0 }),
      ),
    findSendableWorkspaces: (query, recheckAt) =>
      safely(db, (part) => findSendableWorkspaces(part, query, recheckAt, query.now)),
    // A dry run takes up all waiting touches; those in the delivery queue are not the run's.
    countSendable: none,
    findLeftovers: (query) => safely(db, (part) => (first("left") ? findLeftovers(part, query) : Promise.resolve([]))),
    claimAgain: (touchIds) => Promise.resolve(touchIds),
    closeDigestWindows: (query, close) =>
      safely(db, async (part) => {
        if (!first("windows")) return { checked: 0, skipped: 0 };
        const closed = await rehearseDigests(part, query, close);
        digests.toMake = closed.digests;
        return closed;
      }),
    expireDigestLeases: (query) =>
      safely(db, (part) => (first("digestLeases") ? countDigests(part, query, "sending") : none())),
    countDigests: (query) => safely(db, async (part) => digests.toMake + (await countDigests(part, query, "pending"))),
  };
}

/** Runs in a savepoint, so that a failed method leaves the snapshot usable. */
const safely = <Result>(db: Transactional, work: (part: Queryable) => Promise<Result>): Promise<Result> =>
  db.transaction(work);

const none = () => Promise.resolve(0);

/** Returns a function that is true on its first call with a value. */
function firstOfEach(): (value: unknown) => boolean {
  const seen = new Set<unknown>();
  return (value) => !seen.has(value) && seen.add(value) !== undefined;
}

/** Claims due instances, and those that would have resumed, page by page. */
class RehearsedClaims {
  readonly #ended: readonly string[];
  /** The instances that would resume and are not claimed yet, by workspace. */
  readonly #resumed: Map<string, string[]>;
  /** Workspaces that the guardrail would pause. */
  readonly #paused: ReadonlySet<string>;
  readonly #after = new Map<string, ClaimQuery["workspaces"][number]["after"]>();
  readonly #decided: string[] = [];

  constructor(ended: readonly string[], resumed: Map<string, string[]>, paused: ReadonlySet<string>) {
    this.#ended = ended;
    this.#resumed = resumed;
    this.#paused = paused;
  }

  async findWorkspaces(db: Queryable, query: BatchQuery): Promise<readonly DueWorkspace[]> {
    const due = await findDueWorkspaces(db, query);
    const found = new Set(due.map(({ id }) => id));
    const others = [...this.#resumed].flatMap(([id, ids]) => (ids.length > 0 && !found.has(id) ? [id] : []));
    const workspaces = await many(db, z.object({ id: z.guid(), capped: z.boolean() }))`
      select id, daily_cap is not null as capped from workspace where id = any(${others}::uuid[]) order by id`;
    return [...due, ...workspaces.map((workspace) => ({ ...workspace, oldestDue: query.now }))];
  }

  async claim(db: Queryable, query: ClaimQuery, plan: PlanCandidates): Promise<readonly ClaimedPlan[]> {
    const rows = await this.#next(db, query);
    if (rows.length === 0) return [];
    for (const { id } of rows) this.#decided.push(id);
    const candidates = await readCandidates(db, rows, query.now, this.#decided);
    const plans = plan(inTurn(candidates.map((candidate) => this.#asPaused(candidate, query.now))));
    const claimedBefore = await findTouched(db, plans);
    return plans.map((planned) => {
      const { touch, candidate } = planned;
      const isClaimed = touch !== null && !claimedBefore.has(`${candidate.instanceId} ${touch.stepId}`);
      return { plan: planned, touchId: isClaimed ? candidate.instanceId : null, started: null };
    });
  }

  /** Number of due steps that would be left. */
  async countLeft(db: Queryable, { limit, ...query }: BatchQuery): Promise<number> {
    const left = [...this.#resumed.values()].reduce((sum, ids) => sum + ids.length, 0);
    const due = await countDue(db, { ...query, limit: limit + this.#decided.length }, this.#notEnded());
    return Math.min(limit, Math.max(0, due + left - this.#decided.length));
  }

  #asPaused(candidate: DueCandidate, now: Date): DueCandidate {
    const { read, workspaceId } = candidate;
    if ("fault" in read || !this.#paused.has(workspaceId)) return candidate;
    return { ...candidate, read: { item: { ...read.item, workspace: { ...read.item.workspace, pausedAt: now } } } };
  }

  #notEnded(): Sql {
    return sql`and instance.id <> all(${[...this.#ended]}::uuid[])`;
  }

  /** The share of each workspace: due instances first, then those that would have resumed. */
  async #next(db: Queryable, { now, share, workspaces }: ClaimQuery): Promise<readonly DueRow[]> {
    const from = workspaces.map((workspace) => ({ ...workspace, after: this.#after.get(workspace.id) ?? null }));
    const due = await readDue(db, { now, share, workspaces: from }, { locking: empty, also: this.#notEnded() });
    for (const { workspace_id: id, id: instanceId, next_step_due: nextStepDue } of due) {
      this.#after.set(id, { nextStepDue, instanceId });
    }
    const counts = Map.groupBy(due, ({ workspace_id: id }) => id);
    const revived = workspaces.flatMap(({ id }) =>
      (this.#resumed.get(id) ?? []).splice(0, share - (counts.get(id)?.length ?? 0)),
    );
    return [...due, ...(revived.length > 0 ? await readResumed(db, revived, now) : [])];
  }
}

/** An instance without a due time counts as due now. */
async function readResumed(db: Queryable, ids: readonly string[], now: Date): Promise<DueRow[]> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where instance.id = any(${[...ids]}::uuid[])
     order by instance.id`;
  return parseDueRows(rows);
}

/** The keys of plans whose step already has a touch in this generation. */
async function findTouched(db: Queryable, plans: readonly Plan[]): Promise<ReadonlySet<string>> {
  const planned = plans.flatMap(({ candidate: { instanceId }, touch }) =>
    touch ? [{ instanceId, stepId: touch.stepId }] : [],
  );
  const touched = await many(db, z.object({ key: z.string() }))`
    select touch.instance_id || ' ' || touch.step_id as key
      from unnest(
        ${planned.map(({ instanceId }) => instanceId)}::uuid[],
        ${planned.map(({ stepId }) => stepId)}::uuid[]) as planned (instance_id, step_id)
      join follow_up_instance as instance on instance.id = planned.instance_id
      join touch on touch.instance_id = planned.instance_id and touch.generation = instance.generation
                and touch.step_id = planned.step_id`;
  return new Set(touched.map(({ key }) => key));
}

async function countExpiring(db: Queryable, { now, workspaceId }: BatchQuery): Promise<number> {
  const { count } = await one(db, z.object({ count: z.int() }))`
    select count(*)::int as count from touch
     where status = 'awaiting_approval' and recheck_at <= ${now}
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)`;
  return count;
}

const DEAD = (now: Date): Sql => sql`status = 'sending' and recheck_at <= ${now}`;
const REPEATABLE = sql`channel::text = any(${[...REPEATABLE_CHANNELS]}::text[])`;

async function countDeadLeases(db: Queryable, { now, workspaceId }: BatchQuery) {
  return await one(db, z.object({ unknown: z.int(), reclaimed: z.int() }))`
    select count(*) filter (where not ${REPEATABLE})::int as unknown,
           count(*) filter (where ${REPEATABLE})::int as reclaimed
      from touch
     where ${DEAD(now)} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)`;
}

/** Due touches that are claimed, or would be claimed again after their lease expired. */
async function findLeftovers(db: Queryable, { now, workspaceId }: BatchQuery): Promise<readonly Leftover[]> {
  return await many(db, leftoverRow)`
    select id, workspace_id as "workspaceId", channel::text from touch
     where recheck_at <= ${now} and ${CHANNEL_IS_KNOWN} and (status = 'claimed' or (${DEAD(now)} and ${REPEATABLE}))
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     order by id`;
}
