import { completeFollowUpsForMeetingBookedLeads } from "../lib/index.ts";
import type { LoadedDatabase } from "./data.ts";
import { interleave, millisecondsOf } from "./measure.ts";
import { databaseTimeOf, type Statement, statementsOf } from "./statements.ts";

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

/** Milliseconds per round; `database` is the server's own time for the statement that looks for work. */
export interface NothingToDo {
  readonly instances: number;
  /** The backstop's statement that looks for work. */
  readonly lookStatement: Statement;
  readonly backstop: { readonly wall: number[]; readonly database: number[] };
  readonly join: { readonly wall: number[]; readonly database: number[] };
}

/** Measures the backstop and the plain join; every round covers all databases. */
export async function measureNothingToDo(databases: readonly LoadedDatabase[]): Promise<readonly NothingToDo[]> {
  const measured = await Promise.all(databases.map(prepare));
  await interleave(
    ROUNDS,
    measured.flatMap(({ database, results }) => [
      async () => {
        results.backstop.wall.push(await millisecondsOf(() => findNothing(database)));
        results.backstop.database.push(await databaseTimeOf(database, results.lookStatement));
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
  const lookStatement = statements.find(({ text }) => text.includes("follow_up_instance"));
  if (!lookStatement) throw new Error("the backstop did not look at the instances");
  await database.pool.query(PLAIN_JOIN.text);
  const none = () => ({ wall: [], database: [] });
  return { database, results: { instances: database.instances, lookStatement, backstop: none(), join: none() } };
}

async function findNothing(database: LoadedDatabase): Promise<void> {
  const { completedCount } = await completeFollowUpsForMeetingBookedLeads(database.prisma);
  if (completedCount > 0) throw new Error(`the backstop completed ${completedCount} where there was nothing to do`);
}
