import { rm } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { DatabaseUnreachable } from "../../lib/run/ports.ts";
import { faultOfConnectionString } from "../../lib/store/connect.ts";
import { hostAndPort } from "../../lib/store/database-errors.ts";
import { fileProblem, Interrupted, Problem, UsageProblem } from "../problem.ts";
import { clusterFiles, ensureCluster } from "./cluster.ts";
import { findPostgres } from "./programs.ts";
import { startServer, stopAbandonedServer } from "./server.ts";

interface LocalDatabaseOptions {
  /** Called with progress messages for a person. */
  readonly onProgress: (line: string) => void;
  /** The folder for local files; by default `.local` beside package.json. */
  readonly folder?: string | undefined;
  /** Default: a free port. */
  readonly port?: number | undefined;
  /** Server settings that differ from PostgreSQL's defaults: `{ shared_buffers: "1GB" }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

interface DatabaseOptions extends LocalDatabaseOptions {
  /** Default: DATABASE_URL of the environment. Without either, a local PostgreSQL is used. */
  readonly databaseUrl?: string | undefined;
}

/** The folder for everything that commands store on this machine. */
export const LOCAL_FOLDER = fileURLToPath(new URL("../../.local", import.meta.url));

/**
 * Runs `work` on the database of DATABASE_URL, or on a local PostgreSQL that runs as long as the work and keeps its
 * data. The signal of `work` is aborted on an interruption.
 *
 * Throws a Problem if there is no database or it dies, and Interrupted after SIGINT, SIGTERM or SIGHUP. It does not
 * wait for the work in these cases; the local PostgreSQL is stopped before it throws.
 */
export async function withDatabase<Result>(
  work: (url: string, signal: AbortSignal) => Promise<Result>,
  options: DatabaseOptions,
): Promise<Result> {
  const url = options.databaseUrl ?? process.env["DATABASE_URL"];
  const interruption = listenForInterruption();
  try {
    if (!url) return await workOnLocal(work, options, interruption);
    requirePostgresUrl(url);
    options.onProgress(`Using the database of DATABASE_URL at ${hostAndPort({ connectionString: url })}`);
    return await workOn(url, [], work, interruption);
  } catch (error) {
    throw error instanceof DatabaseUnreachable && url ? unreachableProblem(error) : error;
  } finally {
    interruption.stopListening();
  }
}

async function workOnLocal<Result>(
  work: (url: string, signal: AbortSignal) => Promise<Result>,
  { folder = LOCAL_FOLDER, onProgress, port, settings }: LocalDatabaseOptions,
  interruption: Interruption,
): Promise<Result> {
  const { signal } = interruption;
  const programs = await findPostgres(onProgress);
  const cluster = await ensureCluster(clusterFolder(folder), programs, { onProgress, signal, durable: true });
  onProgress("Starting PostgreSQL");
  const server = await startServer(cluster, programs, { onProgress, signal, port, settings }).catch((error) => {
    throw fileProblem(error, cluster.folder) ?? error;
  });
  try {
    return await workOn(server.url, [server.died], work, interruption);
  } finally {
    await server.stop();
  }
}

/** Removes the local database with all its data. Throws a Problem if it is in use. */
export async function discardLocalDatabase({ folder = LOCAL_FOLDER, onProgress }: LocalDatabaseOptions): Promise<void> {
  const cluster = clusterFolder(folder);
  try {
    await stopAbandonedServer(clusterFiles(cluster).data, onProgress);
    await rm(cluster, { recursive: true, force: true });
  } catch (error) {
    throw fileProblem(error, cluster) ?? error;
  }
}

const clusterFolder = (folder: string) => join(folder, "postgres");

interface Interruption {
  readonly signal: AbortSignal;
  stopListening(): void;
}

/** The signals that end a command. */
export const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function listenForInterruption(): Interruption {
  const controller = new AbortController();
  const listener = (name: NodeJS.Signals) => controller.abort(new Interrupted(constants.signals[name]));
  for (const name of SIGNALS) process.on(name, listener);
  return {
    signal: controller.signal,
    stopListening: () => {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
}

/** Settles when the work is done, the signal is aborted or the database dies, whichever is first. */
async function workOn<Result>(
  url: string,
  deaths: readonly Promise<Problem>[],
  work: (url: string, signal: AbortSignal) => Promise<Result>,
  { signal }: Interruption,
): Promise<Result> {
  signal.throwIfAborted();
  const ends = [aborted(signal), ...deaths].map(async (end) => {
    const reason = await end;
    forgetAbandonedWork();
    throw reason;
  });
  const done = (async () => work(url, signal))().catch(async (error) => {
    // A dying server closes its connections shortly before `died` resolves. Prefer that Problem as the cause.
    await Promise.race([...ends, delay(GRACE_MS)]);
    throw error;
  });
  return await Promise.race([done, ...ends]);
}

const GRACE_MS = 500;

function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason), { once: true }));
}

/** Ignores errors of abandoned work, which its timers and sockets may still throw after the database is gone. */
function forgetAbandonedWork(): void {
  const ignore = () => undefined;
  process.on("uncaughtException", ignore).on("unhandledRejection", ignore);
}

function requirePostgresUrl(url: string): void {
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
    throw new UsageProblem(
      "DATABASE_URL is not a PostgreSQL address: it looks like postgresql://user:password@host:5432/database",
    );
  }
  const fault = faultOfConnectionString(url);
  if (fault !== undefined) throw new UsageProblem(`DATABASE_URL cannot be used: ${fault}`);
}

function unreachableProblem(error: DatabaseUnreachable): Problem {
  return new Problem(`${error.message}; correct DATABASE_URL, or unset it to use a local database`, { cause: error });
}
