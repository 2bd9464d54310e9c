import * as z from "zod";
import type { BatchQuery } from "../run/port-types.ts";
import type { EnrichmentReport, ResumeReport } from "../run/report.ts";
import { Prisma } from "./generated/client.ts";
import type { Queryable, Transactional } from "./queryable.ts";
import { BARRED } from "./start-sending.ts";

/** When a pause ends by itself, in terms of `instance`, `lead` and `workspace`. */
interface PauseEnd {
  readonly pausedReason: "lead_snoozed" | "lead_replied" | "awaiting_enrichment";
  readonly isOver: Prisma.Sql;
  /** When time alone ends it, if nothing else changes; null: time alone never does. */
  readonly overAt: Prisma.Sql;
}

/**
 * A lead that may not be contacted is not resumed, whatever else holds. Each column that is read here or in a `PauseEnd`
 * has a trigger that rechecks the pauses it can end: a pause that waits for a change is not rechecked by time.
 */
const MAY_BE_CONTACTED = Prisma.sql`
  ${BARRED} is null and lead.automation_enabled and workspace.paused_at is null`;

export const resumeSnoozed = (db: Transactional, query: BatchQuery): Promise<ResumeReport> =>
  resume(db, query, {
    pausedReason: "lead_snoozed",
    isOver: Prisma.sql`(lead.snoozed_until is null or lead.snoozed_until <= ${query.now})`,
    overAt: Prisma.sql`lead.snoozed_until`,
  });

export const resumeGhosted = (db: Transactional, query: BatchQuery): Promise<ResumeReport> => {
  const overAt = Prisma.sql`
    case when lead.last_outbound_at > lead.last_inbound_at
         then lead.last_inbound_at + make_interval(hours => 24 * workspace.ghosted_after_days) end`;
  return resume(db, query, {
    pausedReason: "lead_replied",
    isOver: Prisma.sql`(${overAt} <= ${query.now})`,
    overAt,
  });
};

/** The data that the step needs: what it is missing is `decide`'s to skip, at the time the step is decided. */
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

export async function resumeAwaitingEnrichment(db: Transactional, query: BatchQuery): Promise<EnrichmentReport> {
  const { checked, resumed, without_data } = await resume(db, query, {
    pausedReason: "awaiting_enrichment",
    isOver: Prisma.sql`(lead.enrichment_status <> 'pending' or ${DATA_IS_THERE})`,
    overAt: Prisma.sql`null::timestamptz`,
  });
  return { checked, resumed, skippedSteps: without_data };
}

const resumeRow = z.object({ checked: z.int(), resumed: z.int(), without_data: z.int() });

/**
 * Looks at a batch of paused instances, oldest first. Resumes those whose pause is over. Every other one gets the time at
 * which its pause ends by itself, or infinity where only a change can end it, so that no run rewrites it in vain and none
 * stands in front of one that may resume.
 *
 * The instances are locked before the facts are read, in a statement of its own. A change that commits later finds the
 * instance locked, waits, and rechecks it; one that commits earlier is read. So no change is lost.
 */
async function resume(db: Transactional, query: BatchQuery, end: PauseEnd): Promise<z.infer<typeof resumeRow>> {
  if (!(await hasToLook(db, query, end))) return { checked: 0, resumed: 0, without_data: 0 };
  return db.transaction(async (transaction) =>
    judge(transaction, query.now, end, await lockPaused(transaction, query, end)),
  );
}

async function lockPaused(
  db: Queryable,
  { now, limit, workspaceId }: BatchQuery,
  { pausedReason }: PauseEnd,
): Promise<readonly string[]> {
  const rows = await db.$queryRaw`
    select id
      from follow_up_instance
     where status = 'paused' and paused_reason = ${pausedReason}::paused_reason and recheck_at <= ${now}
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     order by recheck_at
     limit ${limit}
       for no key update skip locked`;
  return z
    .array(z.object({ id: z.guid() }))
    .parse(rows)
    .map(({ id }) => id);
}

async function judge(
  db: Queryable,
  now: Date,
  { pausedReason, isOver, overAt }: PauseEnd,
  ids: readonly string[],
): Promise<z.infer<typeof resumeRow>> {
  const rows = await db.$queryRaw`
    with judged as materialized (
      select instance.id, coalesce(${MAY_BE_CONTACTED} and ${isOver}, false) as resumes,
             not ${pausedReason === "awaiting_enrichment" ? DATA_IS_THERE : Prisma.sql`true`} as without_data,
             case when ${overAt} > ${now} then ${overAt} else 'infinity' end as recheck_at
        from follow_up_instance as instance
        join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
        join workspace on workspace.id = instance.workspace_id
       where instance.id = any(${[...ids]}::uuid[])),
    changed as (
      update follow_up_instance as instance
         set status = case when resumes then 'active' else 'paused' end::instance_status,
             paused_reason = case when resumes then null else instance.paused_reason end,
             next_step_due = case when resumes then ${now}::timestamptz end,
             recheck_at = case when resumes then null else judged.recheck_at end
        from judged
       where instance.id = judged.id)
    select count(*)::int as checked, count(*) filter (where resumes)::int as resumed,
           count(*) filter (where resumes and without_data)::int as without_data
      from judged`;
  return z.tuple([resumeRow]).parse(rows)[0];
}

/** Most runs have no pause to look at, and this costs a fraction of planning the statement that would find so. */
async function hasToLook(
  db: Queryable,
  { now, workspaceId }: BatchQuery,
  { pausedReason }: PauseEnd,
): Promise<boolean> {
  const rows = await db.$queryRaw`
    select from follow_up_instance
     where status = 'paused' and paused_reason = ${pausedReason}::paused_reason and recheck_at <= ${now}
       and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     limit 1`;
  return z.array(z.unknown()).parse(rows).length > 0;
}
