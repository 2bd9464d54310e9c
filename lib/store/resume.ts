import * as z from "zod";
import type { BatchQuery } from "../run/port-types.ts";
import type { EnrichmentReport, ResumeReport } from "../run/report.ts";
import { Prisma } from "./generated/client.ts";
import type { Queryable } from "./queryable.ts";

/** When a pause ends by itself, in terms of `looked`, `lead` and `workspace`. */
interface PauseEnd {
  readonly pausedReason: "lead_snoozed" | "lead_replied" | "awaiting_enrichment";
  readonly isOver: Prisma.Sql;
  /** When it may be over at the earliest; null: nobody can say. */
  readonly overAt: Prisma.Sql;
}

/** Those who may not be contacted are not resumed, whatever else holds. */
const MAY_BE_CONTACTED = Prisma.sql`
  not lead.is_booked and lead.status not in ('blacklisted', 'unqualified', 'not-interested') and lead.opted_out_at is null
  and lead.automation_enabled and workspace.paused_at is null`;

export const resumeSnoozed = (db: Queryable, query: BatchQuery): Promise<ResumeReport> =>
  resume(db, query, {
    pausedReason: "lead_snoozed",
    isOver: Prisma.sql`(lead.snoozed_until is null or lead.snoozed_until <= ${query.now})`,
    overAt: Prisma.sql`lead.snoozed_until`,
  });

export const resumeGhosted = (db: Queryable, query: BatchQuery): Promise<ResumeReport> => {
  const overAt = Prisma.sql`lead.last_inbound_at + make_interval(hours => 24 * workspace.ghosted_after_days)`;
  return resume(db, query, {
    pausedReason: "lead_replied",
    isOver: Prisma.sql`(lead.last_outbound_at > lead.last_inbound_at and ${overAt} <= ${query.now})`,
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
             where step.sequence_id = looked.sequence_id and step.version = looked.version and step.position >= looked.position
             order by step.position
             limit 1), not exists (
            select from follow_up_step as step
             where step.sequence_id = looked.sequence_id and step.version = looked.version and step.position >= looked.position))`;

export async function resumeAwaitingEnrichment(db: Queryable, query: BatchQuery): Promise<EnrichmentReport> {
  const { checked, resumed, without_data } = await resume(db, query, {
    pausedReason: "awaiting_enrichment",
    isOver: Prisma.sql`(lead.enrichment_status <> 'pending' or ${DATA_IS_THERE})`,
    overAt: Prisma.sql`null::timestamptz`,
  });
  return { checked, resumed, skippedSteps: without_data };
}

const resumeRow = z.object({ checked: z.int(), resumed: z.int(), without_data: z.int() });

/**
 * Looks at a batch of paused instances, oldest first: resumes those whose pause is over, and gives every other a later
 * time at which it is looked at again, so that those that may not resume never stand in front of those that may.
 */
async function resume(db: Queryable, query: BatchQuery, end: PauseEnd): Promise<z.infer<typeof resumeRow>> {
  if (!(await hasToLook(db, query, end))) return { checked: 0, resumed: 0, without_data: 0 };
  const { now, limit, workspaceId } = query;
  const rows = await db.$queryRaw`
    with looked as materialized (
      select id, workspace_id, lead_id, sequence_id, version, position
        from follow_up_instance
       where status = 'paused' and paused_reason = ${end.pausedReason}::paused_reason and recheck_at <= ${now}
         and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
       order by recheck_at
       limit ${limit}
         for no key update skip locked),
    judged as materialized (
      select looked.id, coalesce(${MAY_BE_CONTACTED} and ${end.isOver}, false) as resumes,
             not ${end.pausedReason === "awaiting_enrichment" ? DATA_IS_THERE : Prisma.sql`true`} as without_data,
             case when ${end.overAt} > ${now} then ${end.overAt} else ${now}::timestamptz + interval '1 hour' end
               as recheck_at
        from looked
        join lead on lead.workspace_id = looked.workspace_id and lead.id = looked.lead_id
        join workspace on workspace.id = looked.workspace_id),
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
