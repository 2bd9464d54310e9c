import * as z from "zod";
import type { BatchQuery } from "../run/port-types.ts";
import type { EnrichmentReport, ResumeReport } from "../run/report.ts";
import { CONTACT_BLOCK } from "./contact-rule.ts";
import { Prisma } from "./generated/client.ts";
import type { Queryable, Transactional } from "./sql.ts";

/** When a pause ends, as SQL on `instance`, `lead` and `workspace`. */
interface PauseEnd {
  readonly pausedReason: "lead_snoozed" | "lead_replied" | "awaiting_enrichment";
  readonly isOver: Prisma.Sql;
  /** When the pause ends if nothing else changes; null if it never ends by time alone. */
  readonly overAt: Prisma.Sql;
}

/**
 * Only a lead that may be contacted resumes. Each column that is read here or in a `PauseEnd` has a trigger that
 * rechecks the pauses it can end: a pause that waits for a change is not rechecked by time.
 */
const MAY_BE_CONTACTED = Prisma.sql`
  ${CONTACT_BLOCK} is null and lead.automation_enabled and workspace.paused_at is null`;

type Ends = (now: Date) => PauseEnd;

export const SNOOZED: Ends = (now) => ({
  pausedReason: "lead_snoozed",
  isOver: Prisma.sql`(lead.snoozed_until is null or lead.snoozed_until <= ${now})`,
  overAt: Prisma.sql`lead.snoozed_until`,
});

export const GHOSTED: Ends = (now) => {
  const overAt = Prisma.sql`
    case when lead.last_outbound_at > lead.last_inbound_at and lead.last_inbound_at < '10000-01-01'
         then lead.last_inbound_at + make_interval(hours => 24 * workspace.ghosted_after_days) end`;
  return { pausedReason: "lead_replied", isOver: Prisma.sql`(${overAt} <= ${now})`, overAt };
};

/** Whether the lead has the address that the next step needs. If not, `decide` skips the step once it is due. */
const DATA_IS_THERE = Prisma.sql`
  coalesce((select case step.channel
                     when 'email' then btrim(lead.email) <> ''
                     when 'sms' then btrim(lead.phone) <> ''
                     else true end
              from follow_up_step as step
             where step.sequence_id = instance.sequence_id and step.version = instance.version and step.position >= instance.position
             order by step.position
             limit 1), not exists (
            select from follow_up_step as step
             where step.sequence_id = instance.sequence_id and step.version = instance.version and step.position >= instance.position))`;

export const AWAITING_ENRICHMENT: Ends = () => ({
  pausedReason: "awaiting_enrichment",
  isOver: Prisma.sql`(lead.enrichment_status <> 'pending' or ${DATA_IS_THERE})`,
  overAt: Prisma.sql`null::timestamptz`,
});

export const resumeSnoozed = (db: Transactional, query: BatchQuery): Promise<ResumeReport> =>
  resume(db, query, SNOOZED(query.now));

export const resumeGhosted = (db: Transactional, query: BatchQuery): Promise<ResumeReport> =>
  resume(db, query, GHOSTED(query.now));

export const resumeAwaitingEnrichment = (db: Transactional, query: BatchQuery): Promise<EnrichmentReport> =>
  resume(db, query, AWAITING_ENRICHMENT(query.now));

const countsRow = z.object({ checked: z.int(), resumed: z.int(), skippedSteps: z.int() });

/**
 * Rechecks a batch of paused instances, oldest first, and resumes those whose pause is over. The others get the time at
 * which their pause ends by itself, or infinity if only a change can end it. So no run rewrites them in vain, and they
 * do not block instances that may resume.
 *
 * Locks the instances in a separate statement before reading the facts. A change that commits later waits for the lock
 * and then rechecks the instance; one that commits earlier is read. No change is lost.
 */
async function resume(db: Transactional, query: BatchQuery, end: PauseEnd): Promise<EnrichmentReport> {
  if (!(await hasToLook(db, query, end))) return { checked: 0, resumed: 0, skippedSteps: 0 };
  return db.transaction(async (transaction) =>
    evaluate(transaction, query.now, end, await lockPaused(transaction, query, end)),
  );
}

const isDue = ({ now, workspaceId }: Omit<BatchQuery, "limit">, { pausedReason }: PauseEnd): Prisma.Sql => Prisma.sql`
  instance.status = 'paused' and instance.paused_reason = ${pausedReason}::paused_reason and instance.recheck_at <= ${now}
  and (${workspaceId}::uuid is null or instance.workspace_id = ${workspaceId}::uuid)`;

async function lockPaused(db: Queryable, query: BatchQuery, end: PauseEnd): Promise<readonly string[]> {
  const rows = await db.$queryRaw`
    select id
      from follow_up_instance as instance
     where ${isDue(query, end)}
     order by recheck_at
     limit ${query.limit}
       for no key update skip locked`;
  return z
    .array(z.object({ id: z.guid() }))
    .parse(rows)
    .map(({ id }) => id);
}

/** The CTE `judged`: whether the pause of each selected instance is over. */
const judged = (now: Date, { pausedReason, isOver, overAt }: PauseEnd, which: Prisma.Sql): Prisma.Sql => Prisma.sql`
    judged as materialized (
      select instance.id, instance.workspace_id, coalesce(${MAY_BE_CONTACTED} and ${isOver}, false) as resumes,
             not ${pausedReason === "awaiting_enrichment" ? DATA_IS_THERE : Prisma.sql`true`} as without_data,
             case when ${overAt} > ${now} then ${overAt} else 'infinity' end as recheck_at
        from follow_up_instance as instance
        join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
        join workspace on workspace.id = instance.workspace_id
       where ${which})`;

const COUNTS = Prisma.sql`
  count(*)::int as checked, count(*) filter (where resumes)::int as resumed,
  count(*) filter (where resumes and without_data)::int as "skippedSteps"`;

async function evaluate(db: Queryable, now: Date, end: PauseEnd, ids: readonly string[]): Promise<EnrichmentReport> {
  const rows = await db.$queryRaw`
    with ${judged(now, end, Prisma.sql`instance.id = any(${[...ids]}::uuid[])`)},
    changed as (
      update follow_up_instance as instance
         set status = case when resumes then 'active' else 'paused' end::instance_status,
             paused_reason = case when resumes then null else instance.paused_reason end,
             next_step_due = case when resumes then ${now}::timestamptz end,
             recheck_at = case when resumes then null else judged.recheck_at end
        from judged
       where instance.id = judged.id)
    select ${COUNTS} from judged`;
  return z.tuple([countsRow]).parse(rows)[0];
}

const rehearsedRow = countsRow.extend({ workspace_id: z.guid(), ids: z.array(z.guid()) });

export interface RehearsedResume {
  readonly report: EnrichmentReport;
  /** The ids of the instances that would resume, by workspace. */
  readonly resumed: ReadonlyMap<string, readonly string[]>;
}

/** Computes what resuming all due pauses would do, after the backstop ended its orphans and those in `ended`. */
export async function rehearseResume(
  db: Queryable,
  query: Omit<BatchQuery, "limit">,
  ends: Ends,
  ended: readonly string[],
): Promise<RehearsedResume> {
  const end = ends(query.now);
  const which = Prisma.sql`
    ${isDue(query, end)} and not (instance.lead_booked and not instance.post_booking)
    and instance.id <> all(${[...ended]}::uuid[])`;
  const rows = await db.$queryRaw`
    with ${judged(query.now, end, which)}
    select ${COUNTS}, workspace_id,
           coalesce(array_agg(id::text order by id) filter (where resumes), '{}') as ids
      from judged
     group by workspace_id`;
  const report = { checked: 0, resumed: 0, skippedSteps: 0 };
  const workspaces = z.array(rehearsedRow).parse(rows);
  for (const { checked, resumed, skippedSteps } of workspaces) {
    report.checked += checked;
    report.resumed += resumed;
    report.skippedSteps += skippedSteps;
  }
  return { report, resumed: new Map(workspaces.map(({ workspace_id: id, ids }) => [id, ids])) };
}

/** A cheap check, because most runs find no pause: planning the full statement would cost several times as much. */
async function hasToLook(db: Queryable, query: BatchQuery, end: PauseEnd): Promise<boolean> {
  const rows = await db.$queryRaw`select from follow_up_instance as instance where ${isDue(query, end)} limit 1`;
  return z.array(z.unknown()).parse(rows).length > 0;
}
