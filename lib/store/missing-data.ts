import * as z from "zod";
import { type DigestExample, type DigestSection, MISSING_DATA } from "../domain/digest.ts";
import { missingIn } from "../run/plan.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { parseDueRows } from "./rows.ts";
import { many, type Queryable, type Sql, sql } from "./sql.ts";

/** Whether an instance of the workspace waits for a missing value of its lead. */
export const hasMissingData = (workspaceId: Sql): Sql => sql`
  exists (select from follow_up_instance where workspace_id = ${workspaceId} and paused_reason = 'missing_data')`;

const text = z.string().nullable();
const waitingRow = z.object({ count: z.int(), who: text, surname: text, employer: text, sequence: z.string() });

interface Shown {
  readonly now: Date;
  /** Examples per workspace; the others are only counted. */
  readonly examples: number;
}

/**
 * Reads the section of each workspace in which an instance waits for a missing value: the lead, the sequence, and the
 * names of the values. A lead without a name is shown by another value that identifies it.
 */
export async function readMissingData(
  db: Queryable,
  workspaceIds: readonly string[],
  { now, examples }: Shown,
): Promise<ReadonlyMap<string, readonly DigestSection[]>> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}, counted.count, lead.last_name as surname, lead.company as employer,
           sequence.name as sequence,
           case when btrim(concat(lead.first_name, lead.last_name)) <> '' then lead.first_name
                else coalesce(lead.external_id, lead.email, lead.phone, lead.id::text) end as who
      from unnest(${[...workspaceIds]}::uuid[]) as workspace (id)
     cross join lateral (
       select * from follow_up_instance as waiting
        where waiting.workspace_id = workspace.id and waiting.paused_reason = 'missing_data'
        order by waiting.id
        limit ${examples}) as instance
     cross join lateral (
       select least(count(*), 2147483647)::int as count from follow_up_instance as waiting
        where waiting.workspace_id = workspace.id and waiting.paused_reason = 'missing_data') as counted
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
     order by instance.workspace_id, instance.id`;
  const due = parseDueRows(rows);
  const candidates = await readCandidates(db, due, now);
  const lines = due.map(({ row, workspace_id: workspaceId }, index) => {
    const missing = missingIn(candidates[index], now);
    return { workspaceId, ...waitingRow.parse(row), missing };
  });
  return new Map(
    [...Map.groupBy(lines, ({ workspaceId }) => workspaceId)].map(([id, ofWorkspace]) => [
      id,
      [{ kind: MISSING_DATA, count: ofWorkspace[0]?.count ?? 0, examples: ofWorkspace.map(exampleOf) }],
    ]),
  );
}

interface Line extends z.infer<typeof waitingRow> {
  readonly missing: readonly string[];
}

const exampleOf = ({ who, surname, employer, sequence, missing }: Line): DigestExample => ({
  firstName: who,
  lastName: surname,
  company: employer,
  channel: sequence,
  reason: missing.length > 0 ? `missing ${missing.join(", ")}` : null,
  detail: null,
});
