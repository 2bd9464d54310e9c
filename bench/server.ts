import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { discardLocalDatabase, LOCAL_FOLDER, withDatabase } from "../cli/local-database.ts";
import type { LoadedDatabase } from "./data.ts";
import { print, progress } from "./print.ts";

/** Where a bench leaves what it needs on this machine. */
export const FOLDER = join(LOCAL_FOLDER, "bench");
export const SERVER_LOG = join(FOLDER, "postgres", "server.log");

/** The number of instances that the targets are about. */
export const JUDGED_AT = 1_000_000;

export interface BenchServerOptions {
  /** Leaves the server's data where they are. */
  readonly keep: boolean;
  /** Server settings beside those that every bench has. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Does work on a PostgreSQL of the bench's own, and removes it with its data unless it is to be kept. */
export async function withBenchServer<Result>(
  { keep, settings }: BenchServerOptions,
  work: (url: string) => Promise<Result>,
): Promise<Result> {
  // Never that of DATABASE_URL: a million rows are loaded.
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
 * A quarter of the machine's memory, as RDS gives a PostgreSQL by default:
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
