import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureCluster } from "./postgres-cluster.ts";
import { findPostgres, type PostgresPrograms } from "./postgres-programs.ts";
import { startServer } from "./postgres-server.ts";
import { isRunning } from "./process-identity.ts";

export interface TemporaryPostgres {
  readonly url: string;
  /** Stops the server and removes its files. */
  stop(): Promise<void>;
}

export interface TemporaryPostgresOptions {
  readonly onProgress: (line: string) => void;
  /** The PostgreSQL to run; by default the one in node_modules. */
  readonly programs?: PostgresPrograms | undefined;
  /** See `ClusterOptions`. */
  readonly initdb?: readonly string[] | undefined;
}

const FOLDER_PREFIX = "backstop-temporary-";

/** Its data need not survive a power failure. All other settings are PostgreSQL's defaults. */
const FAST = { fsync: "off", full_page_writes: "off", max_connections: "300", timezone: "UTC" };

/** Starts an empty PostgreSQL in its own folder, so that several can run at once. Throws a Problem if it fails. */
export async function startTemporaryPostgres(options: TemporaryPostgresOptions): Promise<TemporaryPostgres> {
  await removeFoldersOfKilledRuns();
  const programs = options.programs ?? (await findPostgres(options.onProgress));
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  const removeFolder = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  try {
    await chmod(folder, 0o755);
    const { signal } = new AbortController();
    const cluster = await ensureCluster(join(folder, "postgres"), programs, {
      onProgress: () => undefined,
      signal,
      durable: false,
      initdb: options.initdb,
    });
    const server = await startServer(cluster, programs, { onProgress: options.onProgress, signal, settings: FAST });
    return { url: server.url, stop: () => server.stop().finally(removeFolder) };
  } catch (error) {
    await removeFolder();
    throw error;
  }
}

async function removeFoldersOfKilledRuns(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(FOLDER_PREFIX));
  const abandoned = names.filter((name) => !isRunning(Number.parseInt(name.slice(FOLDER_PREFIX.length), 10)));
  for (const name of abandoned) await rm(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 5 });
}
