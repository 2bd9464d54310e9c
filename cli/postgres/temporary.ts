import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { clusterFiles, ensureCluster } from "./cluster.ts";
import { SIGNALS } from "./local-database.ts";
import { findPostgres, isRunning, type PostgresPrograms } from "./programs.ts";
import { startServer, stopAbandonedServer } from "./server.ts";

export interface TemporaryPostgres {
  readonly url: string;
  /** Stops the server and removes its files. */
  stop(): Promise<void>;
}

interface TemporaryPostgresOptions {
  readonly onProgress: (line: string) => void;
  /** The PostgreSQL to run; by default the one in node_modules. */
  readonly programs?: PostgresPrograms | undefined;
  /** See `ClusterOptions`. */
  readonly initdb?: readonly string[] | undefined;
}

const FOLDER_PREFIX = "backstop-temporary-";

/** Its data need not survive a power failure. All other settings are PostgreSQL's defaults. */
const FAST = { fsync: "off", full_page_writes: "off", max_connections: "300", timezone: "UTC" };

/**
 * Starts an empty PostgreSQL in its own folder, so that several can run at once. It also stops when this process exits
 * or is interrupted. Throws a Problem if it does not start.
 */
export async function startTemporaryPostgres(options: TemporaryPostgresOptions): Promise<TemporaryPostgres> {
  await removeFoldersOfKilledRuns(options.onProgress);
  const programs = options.programs ?? (await findPostgres(options.onProgress));
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
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
    for (const name of SIGNALS) process.once(name, exitOnSignal);
    const stop = async () => {
      await server.stop().finally(() => removeFolder(folder));
      for (const name of SIGNALS) process.off(name, exitOnSignal);
    };
    return { url: server.url, stop };
  } catch (error) {
    await removeFolder(folder);
    throw error;
  }
}

/** Runs the exit listener of the server, which stops it. */
const exitOnSignal = (name: NodeJS.Signals) => process.exit(128 + constants.signals[name]);

const removeFolder = (folder: string) => rm(folder, { recursive: true, force: true, maxRetries: 5 });

async function removeFoldersOfKilledRuns(onProgress: (line: string) => void): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(FOLDER_PREFIX));
  const abandoned = names.filter((name) => !isRunning(Number.parseInt(name.slice(FOLDER_PREFIX.length), 10)));
  for (const name of abandoned) {
    await stopAbandonedServer(clusterFiles(join(tmpdir(), name, "postgres")).data, onProgress);
    await removeFolder(join(tmpdir(), name));
  }
}
