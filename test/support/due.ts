import { addSequence, addWorkspace, type Columns, LONG_AGO, type Sequence, type Sql } from "./factories.ts";

/** Adds many leads with one due instance each in one statement. They are due in order, a second apart. */
export async function addDue(
  sql: Sql,
  count: number,
  workspaceId: string,
  { id: sequenceId }: Pick<Sequence, "id">,
  from: Date = LONG_AGO,
): Promise<void> {
  await sql.query(
    `with numbered as (select uuid_v7() as lead_id, number from generate_series(1, $3::int) as number),
          led as (insert into lead (workspace_id, id, first_name, email)
                  select $1, lead_id, 'Ada', 'ada-' || lead_id || '@example.test' from numbered)
     insert into follow_up_instance (workspace_id, lead_id, sequence_id, status, next_step_due)
     select $1, lead_id, $2, 'active', $4::timestamptz + number * interval '1 second' from numbered`,
    [workspaceId, sequenceId, count, from],
  );
}

/** Adds a workspace with this many due steps. Returns its id. */
export async function addWorkspaceWithDue(sql: Sql, count: number, columns: Columns = {}, from?: Date) {
  const workspaceId = await addWorkspace(sql, columns);
  await addDue(sql, count, workspaceId, await addSequence(sql, workspaceId), from);
  return workspaceId;
}
