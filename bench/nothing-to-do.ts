import * as z from "zod";
import { completeFollowUpsForMeetingBookedLeads } from "../lib/index.ts";
import type { Database } from "../lib/store/connect.ts";
import type { LoadedDatabase } from "./database.ts";
import { millisecondsOf, runRounds } from "./figures.ts";

const ROUNDS = 15;

/** The statement one would write without the marker column. */
export const PLAIN_JOIN: Statement = {
  text: `update follow_up_instance as instance
   set status = 'completed', completed_at = now(), completed_reason = 'meeting_booked', next_step_due = null, paused_reason = null
  from lead, follow_up_sequence as sequence
 where lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id and sequence.id = instance.sequence_id
   and instance.status in ('active', 'paused') and sequence.trigger_on <> 'meeting_selected'
   and (lead.status = 'meeting-booked' or lead.booked_until is not null)`,
  values: [],
};

/** Milliseconds per round; `database` is the server's own time for the statement that checks for work. */
export interface NothingToDo {
  readonly instances: number;
  /** The backstop's statement that checks for work. */
  readonly checkStatement: Statement;
  readonly backstop: { readonly wall: number[]; readonly database: number[] };
  readonly join: { readonly wall: number[]; readonly database: number[] };
}

/** Measures the backstop and the plain join; every round covers all databases. */
export async function measureNothingToDo(databases: readonly LoadedDatabase[]): Promise<readonly NothingToDo[]> {
  const measured = await Promise.all(databases.map(prepare));
  await runRounds(
    ROUNDS,
    measured.flatMap(({ database, results }) => [
      async () => {
        results.backstop.wall.push(await millisecondsOf(() => findNothing(database)));
        results.backstop.database.push(await databaseTimeOf(database, results.checkStatement));
      },
      async () => {
        results.join.wall.push(await millisecondsOf(() => database.pool.query(PLAIN_JOIN.text)));
        results.join.database.push(await databaseTimeOf(database, PLAIN_JOIN));
      },
    ]),
  );
  return measured.map(({ results }) => results);
}

async function prepare(database: LoadedDatabase): Promise<{ database: LoadedDatabase; results: NothingToDo }> {
  const statements = await statementsOf(database, () => findNothing(database));
  const checkStatement = statements.find(({ text }) => text.includes("follow_up_instance"));
  if (!checkStatement) throw new Error("the backstop did not read follow_up_instance");
  await database.pool.query(PLAIN_JOIN.text);
  const none = () => ({ wall: [], database: [] });
  return { database, results: { instances: database.instances, checkStatement, backstop: none(), join: none() } };
}

async function findNothing(database: LoadedDatabase): Promise<void> {
  const { completedCount } = await completeFollowUpsForMeetingBookedLeads(database.prisma);
  if (completedCount > 0)
    throw new Error(`expected nothing to do, but the backstop completed ${completedCount} instances`);
}

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

const sent = z.object({ text: z.string(), values: z.array(z.unknown()).default([]) });

/** The statements that `work` sends outside transactions, as the server receives them. */
async function statementsOf({ pool }: Database, work: () => Promise<unknown>): Promise<readonly Statement[]> {
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
async function databaseTimeOf({ pool }: Database, { text, values }: Statement): Promise<number> {
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
