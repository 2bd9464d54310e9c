import * as z from "zod";
import { SWEEP_WINDOWS } from "../domain/labels.ts";
import { countsFrom, type SweepState } from "../domain/sweeps.ts";
import { storedInstant } from "./rows.ts";
import { execute, many, type Queryable, type Sql, sql } from "./sql.ts";

/** One sweep, as its fact reports it. */
interface ReportedSweep extends Pick<SweepState, "window" | "fault"> {
  readonly workspaceId: string;
  readonly tool: string;
  /** Its begin. */
  readonly at: Date;
  readonly seen: number;
  readonly changed: number;
}

const sweepRow = z.object({
  tool: z.string(),
  window: z.enum(SWEEP_WINDOWS),
  since: storedInstant,
  triedAt: storedInstant,
  fault: z.string().nullable(),
  isReported: z.boolean(),
});

/** The begin of the latest sweep that read everything; without one, of the first. */
const SINCE = sql`coalesce(swept_at, first_at)`;
const STATE = sql`
  tool, sweep_window as window, ${SINCE} as since, tried_at as "triedAt", fault, told_since is not distinct from ${SINCE} as "isReported"`;

/**
 * Stores a sweep and returns the state of its window. The same sweeps in any order, any number of times, leave the same
 * row. Undefined if there is no such workspace.
 */
export async function storeSweep(
  db: Queryable,
  { workspaceId, tool, window, at, seen, changed, fault }: ReportedSweep,
): Promise<z.infer<typeof sweepRow> | undefined> {
  const sweptAt = fault === null ? at : null;
  const [state] = await many(db, sweepRow)`
    insert into connection_sweep as known
           (workspace_id, tool, sweep_window, first_at, swept_at, tried_at, fault, seen, changed)
    select id, ${tool}, ${window}, ${at}::timestamptz, ${sweptAt}::timestamptz, ${at}::timestamptz, ${fault}, ${seen}::int, ${changed}::int
      from workspace where id = ${workspaceId}::uuid
        on conflict (workspace_id, tool, sweep_window) do update
       set first_at = least(known.first_at, excluded.first_at),
           swept_at = greatest(known.swept_at, excluded.swept_at),
           tried_at = greatest(known.tried_at, excluded.tried_at),
           (fault, seen, changed) = (
             select fault, seen, changed
               from (values (known.tried_at, known.fault, known.seen, known.changed),
                            (excluded.tried_at, excluded.fault, excluded.seen, excluded.changed))
                 as sweep (tried_at, fault, seen, changed)
              order by tried_at desc, fault nulls first, seen desc, changed desc limit 1)
    returning ${STATE}`;
  return state;
}

/** Records that the digest has reported the failing window, until a sweep reads everything. */
export async function markReported(db: Queryable, { workspaceId, tool, window }: ReportedSweep): Promise<void> {
  await execute(db)`
    update connection_sweep set told_since = ${SINCE}
     where workspace_id = ${workspaceId}::uuid and tool = ${tool} and sweep_window = ${window}`;
}

/** The sweeps of a workspace, or of all; not those of removed connections. */
export async function readSweeps(
  db: Queryable,
  { workspaceId, now }: { readonly workspaceId: string | null; readonly now: Date },
): Promise<SweepState[]> {
  return await many(db, sweepRow)`
    select ${STATE} from connection_sweep
     where tried_at >= ${countsFrom(now)} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     order by tool, sweep_window, workspace_id`;
}

/**
 * The age in seconds of the oldest comparison with a booking tool: how late a booking without a webhook may be known. Null
 * without a connection.
 */
export const sweepAgeSeconds = (now: Date, workspaceId: string | null): Sql => sql`
  (select extract(epoch from ${now}::timestamptz - min(least(${SINCE}, ${now}::timestamptz)))::float8
     from connection_sweep
    where sweep_window = 'hot' and tried_at >= ${countsFrom(now)}::timestamptz
      and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid))`;
