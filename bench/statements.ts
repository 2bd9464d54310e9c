import * as z from "zod";
import type { Database } from "../lib/store/connect.ts";

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

const sent = z.object({ text: z.string(), values: z.array(z.unknown()).default([]) });

/** The statements that `work` sends outside transactions, as the server receives them. */
export async function statementsOf({ pool }: Database, work: () => Promise<unknown>): Promise<readonly Statement[]> {
  const statements: Statement[] = [];
  const query = pool.query;
  pool.query = ((...given: unknown[]) => {
    statements.push(sent.parse(given[0]));
    return Reflect.apply(query, pool, given);
  }) as typeof pool.query;
  try {
    await work();
  } finally {
    pool.query = query;
  }
  return statements;
}

const plans = z.tuple([
  z.object({
    "QUERY PLAN": z.tuple([z.object({ "Planning Time": z.number(), "Execution Time": z.number() })]),
  }),
]);

/** Runs a statement and returns the server's own time in milliseconds, planning included. */
export async function databaseTimeOf({ pool }: Database, { text, values }: Statement): Promise<number> {
  const { rows } = await pool.query(`explain (analyze, buffers, format json) ${text}`, [...values]);
  const [plan] = plans.parse(rows)[0]["QUERY PLAN"];
  return plan["Planning Time"] + plan["Execution Time"];
}

/** Runs a statement and returns its plan as text. */
export async function planOf({ pool }: Database, { text, values }: Statement): Promise<string> {
  const { rows } = await pool.query(`explain (analyze, buffers) ${text}`, [...values]);
  return z
    .array(z.object({ "QUERY PLAN": z.string() }))
    .parse(rows)
    .map((row) => `  ${row["QUERY PLAN"]}`)
    .join("\n");
}
