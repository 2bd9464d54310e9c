import * as z from "zod";
import { completeFollowUpsForMeetingBookedLeads } from "../lib/index.ts";
import type { LoadedDatabase } from "./database.ts";
import { millisecondsOf, progress, runRounds } from "./figures.ts";

const ROUNDS = 7;
const ORPHANS = 10_000;

/** Milliseconds per round. */
export interface OrphansMeasured {
  /** Instances completed per round. */
  readonly orphans: number;
  readonly backstop: number[];
  readonly byHand: number[];
  /** Booking that many leads in one statement, on `lead` and on a copy without marker and triggers. */
  readonly booking: number[];
  readonly plainBooking: number[];
}

/**
 * Books leads with one live instance each, and completes the instances alternately with the backstop and by hand.
 * No lead is booked twice, so each turn finds rows that a booking has just changed.
 */
export async function measureOrphans(database: LoadedDatabase): Promise<OrphansMeasured> {
  const orphans = Math.min(ORPHANS, Math.floor(database.instances / 100));
  const measured: OrphansMeasured = { orphans, backstop: [], byHand: [], booking: [], plainBooking: [] };
  await database.pool.query(PREPARE);
  let turn = 0;
  const afterBooking = async (complete: (instanceIds: readonly string[]) => Promise<number>, times: number[]) => {
    const { leadIds, instanceIds } = await batch(database, turn * orphans, orphans);
    await book(database, leadIds, measured, turn % 2 === 0);
    times.push(await millisecondsOf(async () => requireCount(await complete(instanceIds), orphans)));
    turn += 1;
  };
  await runRounds(ROUNDS, [
    async (round) => {
      progress(`Completing ${orphans} orphans, round ${round + 1} of ${ROUNDS}`);
      await afterBooking(() => completeWithBackstop(database), measured.backstop);
    },
    () => afterBooking((instanceIds) => completeByHand(database, instanceIds), measured.byHand),
  ]);
  return measured;
}

const PREPARE = `
  create unlogged table bookable as
  select row_number() over (order by md5(lead_id::text)) - 1 as number, lead_id, min(id::text)::uuid as instance_id
    from follow_up_instance
   where status in ('active', 'paused') and not lead_booked
   group by lead_id
  having count(*) = 1;
  create index on bookable (number);
  create table plain_lead as select * from lead;
  alter table plain_lead drop column is_booked, drop column booked_at, add primary key (id), add unique (workspace_id, id),
    add foreign key (workspace_id) references workspace (id);
  analyze plain_lead, bookable;`;

const batchRow = z.object({ leads: z.array(z.uuid()), instances: z.array(z.uuid()) });

async function batch({ pool }: LoadedDatabase, from: number, size: number) {
  const { rows } = await pool.query(
    `select array_agg(lead_id) as leads, array_agg(instance_id) as instances from bookable
      where number >= $1 and number < $1 + $2`,
    [from, size],
  );
  const { leads, instances } = z.tuple([batchRow]).parse(rows)[0];
  requireCount(leads.length, size);
  return { leadIds: leads, instanceIds: instances };
}

async function book(
  { pool }: LoadedDatabase,
  leadIds: readonly string[],
  { booking, plainBooking }: OrphansMeasured,
  plainFirst: boolean,
): Promise<void> {
  // Prevents a checkpoint during one of the two measurements.
  await pool.query("checkpoint");
  const update = (table: string, times: number[]) => async () => {
    const sql = `update ${table} set status = 'meeting-booked' where id = any($1)`;
    times.push(await millisecondsOf(() => pool.query(sql, [leadIds])));
  };
  const both = [update("plain_lead", plainBooking), update("lead", booking)];
  for (const one of plainFirst ? both : both.toReversed()) await one();
}

async function completeWithBackstop({ prisma }: LoadedDatabase): Promise<number> {
  const { completedCount } = await completeFollowUpsForMeetingBookedLeads(prisma);
  return completedCount;
}

async function completeByHand({ pool }: LoadedDatabase, instanceIds: readonly string[]): Promise<number> {
  const { rowCount } = await pool.query(
    `update follow_up_instance
        set status = 'completed', completed_at = $2, completed_reason = 'meeting_booked', next_step_due = null, paused_reason = null
      where id = any($1)`,
    [instanceIds, new Date()],
  );
  return rowCount ?? 0;
}

function requireCount(found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`expected ${wanted} rows, found ${found}`);
}
