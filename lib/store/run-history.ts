import * as z from "zod";
import { storedInstant, storedInstantOrNull } from "./rows.ts";
import { many, type Queryable, sql } from "./sql.ts";

const summaryRow = z.object({
  id: z.guid(),
  trigger: z.string(),
  startedAt: storedInstant,
  finishedAt: storedInstantOrNull,
  success: z.boolean().nullable(),
  timedOut: z.boolean(),
  durationMs: z.number().nullable().catch(null),
  reason: z.string().nullable(),
  errors: z.int(),
  slowestSeconds: z.number().nullable().catch(null),
  sweepAgeSeconds: z.number().nullable().catch(null),
  completed: z.number().nullable().catch(null),
  sent: z.number().nullable().catch(null),
  backlog: z.number().nullable().catch(null),
});

/** A run in numbers. Those of its report are null if that part did not run or the run did not finish. */
type RunSummary = z.infer<typeof summaryRow>;

const detailsRow = summaryRow.extend({ requestId: z.string(), deadlineAt: storedInstant, report: z.unknown() });

const SUMMARY = sql`
  run.id, run.trigger, run.started_at as "startedAt", run.finished_at as "finishedAt", run.success,
  run.finished_at is null and run.deadline_at <= clock_timestamp() as "timedOut",
  run.report -> 'durationMs' as "durationMs", run.report ->> 'reason' as reason,
  case when jsonb_typeof(run.report -> 'errors') = 'array' then jsonb_array_length(run.report -> 'errors') else 0 end as errors,
  run.report #> '{backstop,slowestSeconds}' as "slowestSeconds",
  run.report #> '{backstop,sweepAgeSeconds}' as "sweepAgeSeconds",
  run.report #> '{backstop,completedCount}' as completed,
  run.report #> '{results,delivery,sent}' as sent, run.report #> '{results,backlog}' as backlog`;

/** The latest runs, the newest first; with `before`, those that started before that run. */
export async function readRuns(
  db: Queryable,
  { before, limit }: { readonly before: string | null; readonly limit: number },
): Promise<RunSummary[]> {
  return await many(db, summaryRow)`
    select ${SUMMARY}
      from run
     where ${before}::uuid is null
        or (started_at, id) < (select started_at, id from run where id = ${before}::uuid)
     order by started_at desc, id desc
     limit ${limit}`;
}

/** A run with its report. Undefined if there is none with this id. */
export async function readRun(db: Queryable, id: string): Promise<z.infer<typeof detailsRow> | undefined> {
  const [run] = await many(db, detailsRow)`
    select ${SUMMARY}, run.request_id as "requestId", run.deadline_at as "deadlineAt", run.report
      from run where id = ${id}::uuid`;
  return run;
}

const linksRow = z.object({ links: z.boolean().nullable().catch(null) });

/** Whether the latest run with a report had unsubscribe links. Null if there was no run yet. */
export async function haveUnsubscribeLinks(db: Queryable): Promise<boolean | null> {
  const [latest] = await many(db, linksRow)`
    select report -> 'unsubscribeLinks' as links from run
     where report is not null order by started_at desc, id desc limit 1`;
  return latest?.links ?? null;
}
