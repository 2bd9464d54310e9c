import * as z from "zod";
import { type LoadedDatabase, MESSAGE } from "../database.ts";
import { PROVIDER_ID } from "./follow-ups.ts";

/**
 * Selects the instances to make due: one per lead, numbered in random order, so that any prefix is spread over the
 * workspaces and the table. `rank`, from 0 to 1, makes the earliest enrolled due first.
 */
export async function selectDueInstances({ pool }: LoadedDatabase): Promise<void> {
  await pool.query(`
    create unlogged table bench_due as
    select row_number() over (order by md5(instance.id::text)) - 1 as number,
           percent_rank() over (order by instance.id) as rank, instance.id, instance.lead_id
      from follow_up_instance as instance
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
     where sequence.trigger_on = 'no_response' and instance.status = 'active' and not instance.lead_booked;
    create unique index on bench_due (number);
    analyze bench_due;`);
}

/** Makes `due` instances due at their first step, reverts earlier turns, and vacuums. */
export async function makeDue(database: LoadedDatabase, due: number): Promise<void> {
  await withoutTriggers(
    database,
    `delete from touch where claimed_at > now() - interval '1 day';
     update lead set last_outbound_at = now() - interval '3 days', last_email_at = null
       from bench_due where lead.id = bench_due.lead_id and lead.last_outbound_at > now() - interval '1 day';
     update follow_up_instance as instance
        set position = 1,
            next_step_due = case when number < ${due} then now() - (2 - rank) * interval '1 hour'
                                 else now() + interval '30 days' end
       from bench_due
      where instance.id = bench_due.id and (position <> 1 or (next_step_due <= now()) <> (number < ${due}));`,
  );
  await settleDown(database);
}

/** Makes every instance due and deletes all touches. Ends the bookings first. */
export async function makeAllDue(database: LoadedDatabase): Promise<void> {
  await withoutTriggers(
    database,
    `truncate touch cascade;
     update lead set status = 'qualified', booked_at = null, last_outbound_at = now() - interval '3 days',
            last_email_at = null
      where is_booked or last_outbound_at > now() - interval '1 day';
     update follow_up_instance
        set status = 'active', position = 1, next_step_due = now() - interval '1 hour', lead_booked = false,
            orphan_since = null, hold_reason = null, held_since = null, paused_reason = null, recheck_at = null,
            completed_at = null, completed_reason = null;`,
  );
  await settleDown(database);
}

const countsRow = z.tuple([z.object({ touches: z.int(), instances: z.int(), leads: z.int() })]);

/** Throws unless `due` instances advanced, each with a sent touch and an updated lead. */
export async function checkSent({ pool }: LoadedDatabase, due: number): Promise<void> {
  const { rows } = await pool.query(
    `select (select count(*)::int from touch
              where claimed_at > now() - interval '1 day' and status = 'sent' and sent_at is not null and attempts = 1
                and provider_id = $1 and subject = $2 and body = $3) as touches,
            (select count(*)::int from bench_due join follow_up_instance as instance on instance.id = bench_due.id
              where position = 2 and status = 'active' and next_step_due > now()) as instances,
            (select count(*)::int from bench_due join lead on lead.id = bench_due.lead_id
              where last_outbound_at > now() - interval '1 day') as leads`,
    [PROVIDER_ID, MESSAGE.subject, MESSAGE.body],
  );
  const [found] = countsRow.parse(rows);
  if (Object.values(found).every((number) => number === due)) return;
  throw new Error(`expected ${due} sent touches, found ${JSON.stringify(found)}`);
}

/** The statements themselves write what the triggers and foreign keys would maintain. */
async function withoutTriggers({ pool }: LoadedDatabase, sql: string): Promise<void> {
  const connection = await pool.connect();
  try {
    await connection.query(`set session_replication_role = replica; ${sql}`);
  } finally {
    connection.release(true);
  }
}

/** Prevents a vacuum or checkpoint during the measurement. */
async function settleDown({ pool }: LoadedDatabase): Promise<void> {
  await pool.query("vacuum (analyze) touch, lead, follow_up_instance");
  await pool.query("checkpoint");
}
