import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { discardLocalDatabase, LOCAL_FOLDER, withDatabase } from "../cli/postgres/local-database.ts";
import type { LoadedDatabase } from "./data.ts";
import { print, progress } from "./print.ts";

/** Folder for a bench's data on this machine. */
export const FOLDER = join(LOCAL_FOLDER, "bench");
export const SERVER_LOG = join(FOLDER, "postgres", "server.log");

/** Number of instances that the targets apply to. */
export const JUDGED_AT = 1_000_000;

export interface BenchServerOptions {
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

const TOLD = [
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
    [TOLD],
  );
  const told = z.object({ settings: z.string(), version: z.string() }).parse(rows[0]);
  print(`${told.version} (${told.settings}), Node ${process.version}, ${cpus().length} cores`);
  print("A figure is the median, and in brackets the range. Milliseconds, where nothing else is said.\n");
}
