import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { discardLocalDatabase, LOCAL_FOLDER, withDatabase } from "../cli/postgres/local-database.ts";
import { completeFollowUpsForMeetingBookedLeads, openDatabase } from "../lib/index.ts";
import type { Database } from "../lib/store/connect.ts";
import { migrate } from "../lib/store/migrate.ts";
import { count, print, progress } from "./figures.ts";

/** Folder for a bench's data on this machine. */
export const FOLDER = join(LOCAL_FOLDER, "bench");
export const SERVER_LOG = join(FOLDER, "postgres", "server.log");

/** Number of instances that the targets apply to. */
export const TARGET_INSTANCES = 1_000_000;

interface BenchServerOptions {
  /** Keeps the server's data afterwards. */
  readonly keep: boolean;
  /** Additional server settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Runs `work` on a dedicated PostgreSQL server, and removes the server and its data unless `keep` is set. */
export async function withBenchServer<Result>(
  { keep, settings }: BenchServerOptions,
  work: (url: string) => Promise<Result>,
): Promise<Result> {
  // Never use DATABASE_URL: the bench loads a million rows.
  const own = {
    databaseUrl: "",
    folder: FOLDER,
    onProgress: progress,
    settings: { shared_buffers: sharedBuffers(), ...settings },
  };
  try {
    return await withDatabase(work, own);
  } finally {
    if (!keep) await discardLocalDatabase(own);
  }
}

/**
 * A quarter of the machine's memory, like the RDS default for PostgreSQL:
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Tuning.concepts.memory.html
 */
const sharedBuffers = () => `${Math.floor(totalmem() / 4 / 1_024)}kB`;

const SETTINGS = [
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "autovacuum",
  "shared_buffers",
  "max_wal_size",
  "work_mem",
];

export async function printMachine({ pool }: LoadedDatabase): Promise<void> {
  const { rows } = await pool.query(
    "select string_agg(name || ' ' || current_setting(name), ', ') as settings, split_part(version(), ' on ', 1) as version from pg_settings where name = any($1)",
    [SETTINGS],
  );
  const machine = z.object({ settings: z.string(), version: z.string() }).parse(rows[0]);
  print(`${machine.version} (${machine.settings}), Node ${process.version}, ${cpus().length} cores`);
  print("Figures are medians, with the range in brackets; in milliseconds unless another unit is named.\n");
}

export interface LoadedDatabase extends Database {
  readonly url: string;
  readonly instances: number;
}

export const MIGRATIONS = fileURLToPath(new URL("../prisma/migrations", import.meta.url));

const TEMPLATE = {
  subject: "A word, {{ lead.first_name }}?",
  body: [
    "Hello {{ lead.first_name }},",
    "we spoke of a short call and it has not come about yet. A quarter of an hour is enough to see whether this is of use",
    "to you, and any day of the week after next would suit. Shall I propose a time?",
    "Until then, with kind regards to you, {{ lead.first_name }}.",
  ].join(" "),
} as const;

const rendered = (template: string) => template.replaceAll("{{ lead.first_name }}", "Lead");

/** The rendered message of every step for every lead. */
export const MESSAGE = { subject: rendered(TEMPLATE.subject), body: rendered(TEMPLATE.body) } as const;

/** Creates a database on the server, migrates it and loads it. */
export async function loadDatabase(serverUrl: string, instances: number): Promise<LoadedDatabase> {
  const url = await makeDatabase(serverUrl, `bench_${instances}`);
  await migrate({ connectionString: url }, { directory: MIGRATIONS });
  const database = openDatabase({ connectionString: url });
  const connection = await database.pool.connect();
  try {
    for (const { what, sql } of statementsFor(instances)) {
      progress(`${count(instances)} instances: ${what}`);
      await connection.query(sql);
    }
  } finally {
    connection.release(true);
  }
  const { completedCount } = await completeFollowUpsForMeetingBookedLeads(database.prisma);
  if (completedCount > 0)
    throw new Error(`${completedCount} instances were loaded although the backstop completes them`);
  return { ...database, url, instances };
}

/** Creates an empty database, replacing one of that name, and returns its URL. */
export async function makeDatabase(serverUrl: string, name: string): Promise<string> {
  const server = openDatabase({ connectionString: serverUrl });
  await server.pool.query(`drop database if exists ${name} with (force)`);
  await server.pool.query(`create database ${name}`);
  await server.close();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

interface LoadingStep {
  readonly what: string;
  readonly sql: string;
}

/**
 * Per 100 instances: 60 active (10 of them prepare a meeting), 15 paused, 25 completed. One lead in three is booked:
 * 20 per 100 instances, half of them with a preparing instance. Nothing is due. The send windows are always open, so
 * that results do not depend on the hour.
 */
function statementsFor(instances: number): readonly LoadingStep[] {
  const leads = Math.round(instances * 0.6);
  return [
    // The statements write what triggers and foreign keys would maintain; row by row this would take minutes.
    { what: "workspaces and sequences", sql: `set session_replication_role = replica; ${WORKSPACES}` },
    { what: `${count(leads)} leads`, sql: leadsSql(leads) },
    { what: "their instances", sql: INSTANCES },
    { what: "their touches", sql: TOUCHES },
    { what: "vacuum and analyze", sql: "vacuum (analyze)" },
    { what: "checkpoint", sql: "checkpoint" },
  ];
}

const WORKSPACES = `
  insert into workspace (name, email_from, window_days, window_start, window_end)
  select 'Workspace ' || number, 'team@example.com', '{1,2,3,4,5,6,7}', '00:00', '24:00'
    from generate_series(1, 20) as number;

  insert into follow_up_sequence (workspace_id, name, trigger_on)
  select id, trigger_on, trigger_on
    from workspace, unnest('{no_response,setter_reply,meeting_selected}'::sequence_trigger[]) as trigger_on;

  insert into follow_up_step (workspace_id, sequence_id, position, delay_minutes, channel, subject, body)
  select workspace_id, id, position, 1440, 'email', '${TEMPLATE.subject}', '${TEMPLATE.body}'
    from follow_up_sequence, generate_series(1, 3) as position;`;

const leadsSql = (leads: number) => `
  create unlogged table numbered_lead as
  select number, uuid_v7() as id, number % 3 = 0 as booked,
         (select array_agg(id) from workspace)[1 + number / 24 % 20] as workspace_id
    from generate_series(1, ${leads}) as number;

  insert into lead (id, workspace_id, first_name, last_name, company, email, normalised_email, status, booked_at,
                    last_outbound_at, created_at)
  select id, workspace_id, 'Lead', number::text, 'Company ' || number % 5000, 'lead' || number || '@example.com',
         'lead' || number || '@example.com',
         case when booked then 'meeting-booked' when number % 2 = 0 then 'qualified' else 'new' end::lead_status,
         case when booked then now() - interval '2 days' end, now() - interval '3 days', now() - interval '30 days'
    from numbered_lead;`;

const INSTANCES = `
  insert into follow_up_instance (workspace_id, lead_id, sequence_id, version, lead_booked, post_booking, status, paused_reason,
                                  position, next_step_due, recheck_at, completed_at, completed_reason, created_at)
  select lead.workspace_id, lead.id, sequence.id, sequence.version, lead.booked, sequence.is_post_booking, chosen.status::instance_status,
         case when chosen.status = 'paused' then ('{lead_replied,manual,awaiting_approval}'::paused_reason[])[1 + number % 3] end,
         1 + number % 3,
         case when chosen.status = 'active' then chosen.later end,
         case when chosen.status = 'paused' and number % 3 = 0 then chosen.later end,
         case when chosen.status = 'completed' then now() - interval '2 days' end,
         case when chosen.status = 'completed' then case when booked then 'meeting_booked' else 'out_of_steps' end end,
         now() - interval '20 days'
    from numbered_lead as lead
   cross join lateral (
     values ('no_response', true, not booked),
            ('setter_reply', not booked and number % 24 < 18 and number % 24 <> 15, number % 24 < 15),
            ('meeting_selected', number % 6 = 0, true)) as kind (trigger_on, wanted, live)
   cross join lateral (
     select case when not live then 'completed' when number % 5 = 0 then 'paused' else 'active' end as status,
            now() + interval '1 day' + number % 20000 * interval '1 minute' as later) as chosen
    join follow_up_sequence as sequence
      on sequence.workspace_id = lead.workspace_id and sequence.trigger_on = kind.trigger_on::sequence_trigger
   where wanted;
  drop table numbered_lead;`;

const TOUCHES = `
  insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, subject, body, fingerprint, claimed_at,
                     sent_at)
  select instance.workspace_id, instance.id, lead_id, step.id, 1, 'email',
         case when paused_reason = 'awaiting_approval' then 'awaiting_approval' else 'sent' end::touch_status,
         '${MESSAGE.subject}', '${MESSAGE.body}',
         case when paused_reason = 'awaiting_approval' then message_fingerprint('${MESSAGE.subject}', '${MESSAGE.body}') end,
         now() - interval '3 days',
         case when paused_reason is distinct from 'awaiting_approval' then now() - interval '3 days' end
    from follow_up_instance as instance
    join follow_up_step as step on step.sequence_id = instance.sequence_id and step.version = instance.version
     and step.position = instance.position
   where instance.position = 2 or paused_reason = 'awaiting_approval'`;
