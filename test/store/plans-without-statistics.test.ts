import { describe, expect, it } from "@jest/globals";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();

interface ForeignKey {
  readonly name: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly types: readonly string[];
}

/** The rows that each foreign key refers to, as PostgreSQL looks for them when it checks the key. */
async function foreignKeys(): Promise<readonly ForeignKey[]> {
  const { rows } = await sql.query<ForeignKey>(`
    select constraint_of.conname as name, constraint_of.confrelid::regclass::text as table,
           array_agg(quote_ident(attname) order by place) as columns,
           array_agg(format_type(atttypid, atttypmod) order by place) as types
      from pg_constraint as constraint_of
      cross join unnest(confkey) with ordinality as key (number, place)
      join pg_attribute on attrelid = confrelid and attnum = key.number
     where contype = 'f' and connamespace = 'public'::regnamespace
     group by 1, 2`);
  return rows;
}

/** The plan that a session keeps for all values. */
async function planOf({ table, columns, types }: ForeignKey): Promise<string> {
  const client = await sql.connect();
  try {
    const conditions = columns.map((column, index) => `${column} = $${index + 1}`);
    await client.query("set plan_cache_mode = force_generic_plan");
    await client.query(`prepare looking (${types.join(", ")}) as
      select 1 from only ${table} where ${conditions.join(" and ")} for key share`);
    const { rows } = await client.query<{ "QUERY PLAN": string }>(
      `explain execute looking (${types.map(() => "null").join(", ")})`,
    );
    return rows.map((row) => row["QUERY PLAN"].trim()).join("\n");
  } finally {
    client.release(true);
  }
}

const readsWholeWorkspace = (plan: string) => /Seq Scan|Index Cond: \(workspace_id = \$\d\)$/m.test(plan);

describe("on tables without statistics", () => {
  it("no check of a foreign key reads all rows of a workspace", async () => {
    const keys = await foreignKeys();
    const plans = await Promise.all(keys.map(async (key) => [key.name, await planOf(key)] as const));
    expect(plans.map(([name]) => name)).toContain("follow_up_instance_workspace_id_lead_id_lead_booked_fkey");
    expect(plans.filter(([, plan]) => readsWholeWorkspace(plan))).toEqual([]);
  });

  it("such a check is found: an index on the workspace and another column is taken for one on the id", async () => {
    await sql.query("create unique index another on lead (workspace_id, first_name)");
    const keys = await foreignKeys();
    const plans = await Promise.all(keys.map(planOf));
    await sql.query("drop index another");
    expect(plans.filter(readsWholeWorkspace)).not.toEqual([]);
  });
});
