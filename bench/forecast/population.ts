import { type Database, openDatabase } from "../../lib/store/connect.ts";
import { migrate } from "../../lib/store/migrate.ts";
import { MIGRATIONS, makeDatabase } from "../database.ts";
import { count, progress } from "../figures.ts";

/** A workspace with this many live instances, with or without a daily cap. */
export interface Population {
  readonly name: string;
  readonly instances: number;
  readonly capped: boolean;
}

export interface PopulatedDatabase extends Database {
  readonly url: string;
}

/** Creates a database on the server, migrates it, and adds the workspaces. */
export async function loadPopulations(
  serverUrl: string,
  populations: readonly Population[],
): Promise<PopulatedDatabase> {
  const url = await makeDatabase(serverUrl, "bench_forecast");
  await migrate({ connectionString: url }, { directory: MIGRATIONS });
  const database = openDatabase({ connectionString: url });
  const connection = await database.pool.connect();
  try {
    // The statements write what triggers and foreign keys would maintain; row by row this would take minutes.
    await connection.query("set session_replication_role = replica");
    for (const population of populations) {
      progress(`${population.name}: ${count(population.instances)} live instances`);
      await connection.query(WORKSPACE, [population.name, population.capped ? capOf(population) : null]);
      await connection.query(LEADS, [population.name, Math.round(population.instances / 1.1)]);
      await connection.query(INSTANCES, [population.name]);
    }
    await connection.query("vacuum (analyze)");
  } finally {
    connection.release(true);
  }
  return { ...database, url };
}

/** A cap that binds: about half of what is due on a day. */
const capOf = ({ instances }: Population): number => Math.round(instances / 20);

const WORKSPACE = `
  with added as (
    insert into workspace (name, email_from, time_zone, window_days, window_start, window_end, holiday_country,
                           gap_minutes, daily_cap)
    values ($1, 'team@example.com', 'Europe/Berlin', '{1,2,3,4,5}', '09:00', '17:00', 'DE', 240, $2::int) returning id),
  named as (
    insert into follow_up_sequence (workspace_id, name, trigger_on)
    select id, name, 'no_response' from added, unnest('{Chase,Nurture}'::text[]) as name returning id, workspace_id)
  insert into follow_up_step (workspace_id, sequence_id, position, key, delay_minutes, channel, subject, body, condition,
                              time_to_live_minutes)
  select workspace_id, id, position, 'step-' || position, delay, channel::channel, 'For {{ lead.first_name }}',
         'Hello {{ lead.first_name }}, shall {{ lead.company | default: "you" }} and we talk about {{ lead.fields.need }}?',
         condition::step_condition, lives
    from named, (values (1, 0, 'email', 'always', null), (2, 1440, 'sms', 'phone_provided', 2880),
                        (3, 2880, 'email', 'no_reply', null), (4, 4320, 'task', 'always', 10080),
                        (5, 5760, 'email', 'always', null)) as step (position, delay, channel, condition, lives)`;

/** One lead in ten shares its address or lives elsewhere. */
const LEADS = `
  insert into lead (id, workspace_id, first_name, last_name, company, email, normalised_email, phone, normalised_phone,
                    status, time_zone, fields, last_outbound_at, created_at)
  select uuid_v7(), workspace.id, 'Lead', number::text, 'Company ' || number % 5000, address, address,
         case when number % 3 > 0 then number_of end, case when number % 3 > 0 then number_of end, 'qualified',
         case number % 10 when 0 then 'America/New_York' when 1 then 'Europe/London' when 2 then 'Asia/Tokyo' end,
         jsonb_build_object('need', 'need ' || number % 100, 'role', 'role ' || number % 50, 'source', 'a list of ours'),
         now() - interval '3 days', now() - interval '30 days'
    from workspace, generate_series(1, $2::int) as number,
         lateral (select 'lead' || case when number % 50 = 0 then number - 1 else number end || '@example.com' as address,
                         '+4930' || 1000000 + number as number_of) as reach
   where workspace.name = $1`;

/** Every lead is in one sequence, one in ten in both. They are due within the next twelve days, at every step. */
const INSTANCES = `
  insert into follow_up_instance (workspace_id, lead_id, sequence_id, version, lead_booked, post_booking, status, paused_reason,
                                  position, next_step_due, recheck_at, created_at)
  select lead.workspace_id, lead.id, sequence.id, sequence.version, false, false, state.status::instance_status,
         case when state.status = 'paused' then 'lead_replied'::paused_reason end, 1 + number % 4,
         case when state.status = 'active' then date_trunc('day', now()) + number * 7 % 17280 * interval '1 minute' end,
         case when state.status = 'paused' then 'infinity'::timestamptz end, now() - interval '20 days'
    from (select lead.*, row_number() over (order by lead.id)::int as number from lead) as lead
    join workspace on workspace.id = lead.workspace_id and workspace.name = $1
    join follow_up_sequence as sequence on sequence.workspace_id = workspace.id
     and (sequence.name = 'Chase' or number % 10 = 0)
   cross join lateral (select case when number % 20 = 7 then 'paused' else 'active' end as status) as state`;
