import * as z from "zod";
import type { BatchQuery } from "../run/claim-ports.ts";
import { missingIn } from "../run/plan.ts";
import type { EnrichmentReport } from "../run/step-reports.ts";
import type { ResumableReason } from "../run/store-ports.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { byAddress } from "./columns.ts";
import { CONTACT_BLOCK } from "./contact-rule.ts";
import { parseDueRows } from "./rows.ts";
import { exists, many, one, type Queryable, raw, type Sql, sql, type Transactional } from "./sql.ts";

/** When a pause ends, as SQL on `instance`, `lead` and `workspace`. */
interface PauseEnd {
  readonly isOver: Sql;
  /** When the pause ends if nothing else changes; null if it never ends by time alone. */
  readonly overAt: Sql;
}

/**
 * Only a lead that may be contacted resumes. A pause that waits for a change is not rechecked by time. Each column
 * that is read here or in a `PauseEnd` has a trigger that rechecks the pauses it can end.
 */
const MAY_BE_CONTACTED = sql`
  ${CONTACT_BLOCK} is null and lead.automation_enabled and workspace.paused_at is null`;

/** Whether the lead has the address that the next step needs. If not, `decide` skips the step once it is due. */
const DATA_IS_THERE = sql`
  coalesce((select ${byAddress(sql`step.channel`, (kind) => sql`btrim(lead.${raw(kind)}) <> ''`, sql`true`)}
              from follow_up_step as step
             where step.sequence_id = instance.sequence_id and step.version = instance.version and step.position >= instance.position
             order by step.position
             limit 1), not exists (
            select from follow_up_step as step
             where step.sequence_id = instance.sequence_id and step.version = instance.version and step.position >= instance.position))`;

const NEVER = sql`null::timestamptz`;

/** `repaired`: the instances whose step has all its values. Only pauses for missing data read it. */
const PAUSE_ENDS: Readonly<Record<ResumableReason, (now: Date, repaired: readonly string[]) => PauseEnd>> = {
  lead_snoozed: (now) => ({
    isOver: sql`(lead.snoozed_until is null or lead.snoozed_until <= ${now})`,
    overAt: sql`lead.snoozed_until`,
  }),
  lead_replied: (now) => {
    const overAt = sql`
    case when lead.last_outbound_at > lead.last_inbound_at and lead.last_inbound_at < '10000-01-01'
         then greatest(lead.last_inbound_at, case when lead.last_contacted_at < '10000-01-01' then lead.last_contacted_at end)
              + make_interval(hours => 24 * workspace.ghosted_after_days) end`;
    return { isOver: sql`(${overAt} <= ${now})`, overAt };
  },
  awaiting_enrichment: () => ({
    isOver: sql`(lead.enrichment_status <> 'pending' or ${DATA_IS_THERE})`,
    overAt: NEVER,
  }),
  missing_data: (_, repaired) => ({ isOver: sql`instance.id = any(${[...repaired]}::uuid[])`, overAt: NEVER }),
  // The lead's switch is part of MAY_BE_CONTACTED. A pause that a person typed has no recheck time.
  manual: () => ({ isOver: sql`true`, overAt: NEVER }),
};

/** Which of these instances have all the data that their pause waits for. Reads the steps' texts, so not in SQL. */
async function findRepaired(db: Queryable, reason: ResumableReason, now: Date, which: Sql): Promise<readonly string[]> {
  if (reason !== "missing_data") return [];
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where ${which}`;
  const candidates = await readCandidates(db, parseDueRows(rows), now);
  return candidates.filter((candidate) => missingIn(candidate, now).length === 0).map(({ instanceId }) => instanceId);
}

const countsRow = z.object({ checked: z.int(), resumed: z.int(), skippedSteps: z.int() });

/**
 * Rechecks a batch of paused instances, oldest first, and resumes those whose pause is over. The others get the time at
 * which their pause ends by itself, or infinity if only a change can end it. So no run rewrites them in vain, and they
 * do not block instances that may resume.
 *
 * Locks the instances in a separate statement before reading the facts. A change that commits later waits for the lock
 * and then rechecks the instance; one that commits earlier is read. No change is lost.
 */
export async function resumePaused(
  db: Transactional,
  reason: ResumableReason,
  query: BatchQuery,
): Promise<EnrichmentReport> {
  if (!(await isAnyDue(db, query, reason))) return { checked: 0, resumed: 0, skippedSteps: 0 };
  return db.transaction(async (transaction) =>
    evaluate(transaction, query.now, reason, await lockPaused(transaction, query, reason)),
  );
}

const isDue = ({ now, workspaceId }: Omit<BatchQuery, "limit">, reason: ResumableReason): Sql => sql`
  instance.status = 'paused' and instance.paused_reason = ${reason}::paused_reason and instance.recheck_at <= ${now}
  and (${workspaceId}::uuid is null or instance.workspace_id = ${workspaceId}::uuid)`;

async function lockPaused(db: Queryable, query: BatchQuery, reason: ResumableReason): Promise<readonly string[]> {
  const paused = await many(db, z.object({ id: z.guid() }))`
    select id
      from follow_up_instance as instance
     where ${isDue(query, reason)}
     order by recheck_at
     limit ${query.limit}
       for no key update skip locked`;
  return paused.map(({ id }) => id);
}

/** The CTE `judged`: whether the pause of each selected instance is over. */
function judged(now: Date, reason: ResumableReason, which: Sql, repaired: readonly string[]): Sql {
  const { isOver, overAt } = PAUSE_ENDS[reason](now, repaired);
  return sql`
    judged as materialized (
      select instance.id, instance.workspace_id, coalesce(${MAY_BE_CONTACTED} and ${isOver}, false) as resumes,
             not ${reason === "awaiting_enrichment" ? DATA_IS_THERE : sql`true`} as without_data,
             case when ${overAt} > ${now} then ${overAt} else 'infinity' end as recheck_at
        from follow_up_instance as instance
        join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
        join workspace on workspace.id = instance.workspace_id
       where ${which})`;
}

const COUNTS = sql`
  count(*)::int as checked, count(*) filter (where resumes)::int as resumed,
  count(*) filter (where resumes and without_data)::int as "skippedSteps"`;

async function evaluate(
  db: Queryable,
  now: Date,
  reason: ResumableReason,
  ids: readonly string[],
): Promise<EnrichmentReport> {
  const which = sql`instance.id = any(${[...ids]}::uuid[])`;
  const repaired = await findRepaired(db, reason, now, which);
  return await one(db, countsRow)`
    with ${judged(now, reason, which, repaired)},
    changed as (
      update follow_up_instance as instance
         set status = case when resumes then 'active' else 'paused' end::instance_status,
             paused_reason = case when resumes then null else instance.paused_reason end,
             next_step_due = case when resumes then ${now}::timestamptz end,
             recheck_at = case when resumes then null else judged.recheck_at end
        from judged
       where instance.id = judged.id)
    select ${COUNTS} from judged`;
}

const rehearsedRow = countsRow.extend({ workspaceId: z.guid(), ids: z.array(z.guid()) });

interface RehearsedResume {
  readonly report: EnrichmentReport;
  /** The ids of the instances that would resume, by workspace. */
  readonly resumed: ReadonlyMap<string, readonly string[]>;
}

/** Computes what resuming all due pauses would do, after the backstop ended its orphans and those in `ended`. */
export async function rehearseResume(
  db: Queryable,
  reason: ResumableReason,
  query: Omit<BatchQuery, "limit">,
  ended: readonly string[],
): Promise<RehearsedResume> {
  const which = sql`
    ${isDue(query, reason)} and not (instance.lead_booked and not instance.post_booking)
    and instance.id <> all(${[...ended]}::uuid[])`;
  const repaired = await findRepaired(db, reason, query.now, which);
  const workspaces = await many(db, rehearsedRow)`
    with ${judged(query.now, reason, which, repaired)}
    select ${COUNTS}, workspace_id as "workspaceId",
           coalesce(array_agg(id::text order by id) filter (where resumes), '{}') as ids
      from judged
     group by workspace_id`;
  const report = { checked: 0, resumed: 0, skippedSteps: 0 };
  for (const { checked, resumed, skippedSteps } of workspaces) {
    report.checked += checked;
    report.resumed += resumed;
    report.skippedSteps += skippedSteps;
  }
  return { report, resumed: new Map(workspaces.map(({ workspaceId, ids }) => [workspaceId, ids])) };
}

/** A cheap check, because most runs find no pause: planning the full statement would cost several times as much. */
async function isAnyDue(db: Queryable, query: BatchQuery, reason: ResumableReason): Promise<boolean> {
  return await exists(db)`select from follow_up_instance as instance where ${isDue(query, reason)} limit 1`;
}
