import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, link, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Problem } from "../problem.ts";
import { type Cluster, noSpace, OWNER } from "./cluster.ts";
import {
  asOwnerOf,
  commandLineOf,
  isRunning,
  type PostgresPrograms,
  runPostgres,
  spawnSettings,
  worksIn,
} from "./programs.ts";

interface PostgresServer {
  readonly url: string;
  /** Resolves if the server ends without `stop`. */
  readonly died: Promise<Problem>;
  /** Stops the server and waits for its exit. A no-op after that. */
  stop(): Promise<void>;
}

interface ServerOptions {
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
  /** Default: a free port. */
  readonly port?: number | undefined;
  /** Additional server settings: `{ fsync: "off" }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

const ATTEMPTS = 40;
const BETWEEN_ATTEMPTS_MS = 250;
const START_SECONDS = 120;

/**
 * Starts a cluster on 127.0.0.1 with `pg_ctl`, after it stops the server of a killed command. The server also stops
 * when this process exits, but it survives `kill -9`. PostgreSQL's own lock allows one server per cluster. Throws a
 * Problem if the server does not start or another command uses the cluster.
 */
export async function startServer(
  cluster: Cluster,
  givenPrograms: PostgresPrograms,
  options: ServerOptions,
): Promise<PostgresServer> {
  const programs = await asOwnerOf(cluster.data, givenPrograms);
  for (let attempt = 1; ; attempt++) {
    await stopAbandonedServer(cluster.data, options.onProgress);
    const port = options.port ?? (await freePort());
    if (await startWithPgCtl(cluster, programs, port, options)) return await serverOf(cluster, programs, port);
    const log = await readFile(cluster.log, "utf8");
    const { problem, isTransient } = startFailure(log, cluster, port, options.port !== undefined);
    if (attempt >= ATTEMPTS || !isTransient) throw problem;
    await delay(BETWEEN_ATTEMPTS_MS, undefined, { signal: options.signal });
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  return typeof address === "object" && address ? address.port : 0;
}

async function startWithPgCtl(
  { data, log }: Cluster,
  programs: PostgresPrograms,
  port: number,
  { signal, settings }: ServerOptions,
): Promise<boolean> {
  const own = { listen_addresses: "127.0.0.1", port: String(port), unix_socket_directories: "" };
  // The owner is a setting without a meaning to PostgreSQL. The next command reads it from the command line.
  const all = { ...own, "backstop.owner": String(process.pid), ...settings };
  const flags = Object.entries(all).map(([name, value]) => `-c ${name}=${value}`);
  await writeFile(log, "");
  if (programs.account) await chown(log, programs.account.uid, programs.account.gid);
  const words = ["start", "-w", "-t", String(START_SECONDS), "-D", data, "-l", log, "-o", flags.join(" ")];
  const { code } = await runPostgres(programs.binaries.pg_ctl, words, programs, { signal });
  if (code === 0 && !signal.aborted) return true;
  // After a timeout or an interruption, the server may still be starting.
  const lock = await readLock(data);
  if (lock && ownerOf(lock.pid) === process.pid) await endProcess(lock.pid);
  signal.throwIfAborted();
  return false;
}

interface StartFailure {
  readonly problem: Problem;
  /** Whether another attempt, on another free port, may succeed. */
  readonly isTransient: boolean;
}

function startFailure(log: string, { folder, log: file }: Cluster, port: number, portIsFixed: boolean): StartFailure {
  if (/could not bind|could not create any TCP\/IP sockets/.test(log)) {
    const advice = "stop the program that listens there, or try again";
    return { problem: new Problem(`port ${port} on 127.0.0.1 is in use: ${advice}`), isTransient: !portIsFixed };
  }
  // Another command is starting (it may also have emptied the log), or children of a killed server are still ending.
  if (/postmaster\.pid" (already exists|is empty)|pre-existing shared memory block|^$/.test(log)) {
    const problem = new Problem(`another PostgreSQL server uses ${folder}: stop it and try again`);
    return { problem, isTransient: true };
  }
  return { problem: log.includes("No space left on device") ? noSpace() : notStarted(log, file), isTransient: false };
}

function notStarted(log: string, file: string): Problem {
  const [, reason, detail] = log.match(/(?:FATAL|PANIC): +(.*)(?:\n.*DETAIL: +(.*))?/) ?? [];
  const why = [reason ?? log.trim().split("\n").at(-1), detail].filter(Boolean).join("; ");
  return new Problem(`PostgreSQL did not start: ${why} (log: ${file})`);
}

const POLL_MS = 250;

async function serverOf(cluster: Cluster, programs: PostgresPrograms, port: number): Promise<PostgresServer> {
  const pid = (await readLock(cluster.data))?.pid ?? Number.NaN;
  const pgCtlStop = (mode: string) => ["stop", "-w", "-t", "20", "-m", mode, "-D", cluster.data];
  const stopOnExit = () => {
    if (isRunning(pid)) spawnSync(programs.binaries.pg_ctl, pgCtlStop("fast"), spawnSettings(programs));
  };
  process.once("exit", stopOnExit);
  let poll: NodeJS.Timeout | undefined;
  const died = new Promise<Problem>((resolve) => {
    poll = setInterval(async () => {
      if (isRunning(pid)) return;
      clearInterval(poll);
      resolve(diedProblem(await readFile(cluster.log, "utf8").catch(() => ""), cluster.log));
    }, POLL_MS).unref();
  });
  return {
    url: `postgresql://${OWNER}:${cluster.password}@127.0.0.1:${port}/${OWNER}`,
    died,
    async stop() {
      clearInterval(poll);
      // Committed data survives both modes.
      for (const mode of ["fast", "immediate"]) {
        if (isRunning(pid)) await runPostgres(programs.binaries.pg_ctl, pgCtlStop(mode), programs);
      }
      process.off("exit", stopOnExit);
    },
  };
}

function diedProblem(log: string, file: string): Problem {
  if (log.includes("No space left on device")) return noSpace();
  return new Problem(`PostgreSQL ended while the command was running: try again (log: ${file})`);
}

/**
 * Stops the server that a killed command left on a data folder, and removes a stale lock file. Throws a Problem if the
 * server's owner still runs, or if it was not started by a command.
 */
export async function stopAbandonedServer(data: string, onProgress: (line: string) => void): Promise<void> {
  const lock = await readLock(data);
  // PostgreSQL itself replaces the file of a process that has ended. On Windows we cannot look at other processes.
  if (!lock || (lock.pid > 0 && !isRunning(lock.pid)) || process.platform === "win32") return;
  if (!(lock.pid > 0 && worksIn(lock.pid, await realpath(data)))) return await discardLock(data, lock.text);
  const owner = ownerOf(lock.pid);
  if (owner === undefined)
    throw new Problem(`a PostgreSQL server that Backstop did not start uses ${data}: stop it (kill -INT ${lock.pid})`);
  if (isRunning(owner)) {
    const advice = `wait until it ends, or stop it (kill ${owner}). Several commands at once need DATABASE_URL`;
    throw new Problem(`process ${owner} uses the database in ${data}: ${advice}`);
  }
  onProgress(`Stopping the PostgreSQL server that a killed command left running (process ${lock.pid})`);
  await endProcess(lock.pid);
}

/** PostgreSQL's lock file, which names the server's process. */
interface Lock {
  readonly text: string;
  /** NaN if the file is incomplete. */
  readonly pid: number;
}

const WRITING_MS = 500;

/** A starting server creates the file shortly before it fills it, so an incomplete file is read a second time. */
async function readLock(data: string): Promise<Lock | undefined> {
  for (let attempt = 1; ; attempt++) {
    const text = await readFile(lockFile(data), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    if (text === undefined) return undefined;
    const pid = Number.parseInt(text, 10);
    if (pid > 0 || attempt === 2) return { text, pid };
    await delay(WRITING_MS);
  }
}

const lockFile = (data: string) => join(data, "postmaster.pid");

function ownerOf(pid: number): number | undefined {
  const owner = commandLineOf(pid).match(/backstop\.owner=(\d+)/)?.[1];
  return owner === undefined ? undefined : Number(owner);
}

/** PostgreSQL refuses to start while any process has the id in the file. Restores a file that a new server wrote. */
async function discardLock(data: string, stale: string): Promise<void> {
  const aside = `${lockFile(data)}.${randomBytes(4).toString("hex")}`;
  await rename(lockFile(data), aside);
  if ((await readFile(aside, "utf8")) !== stale) await link(aside, lockFile(data));
  await rm(aside);
}

/** Fast shutdown, then immediate shutdown. */
const SHUTDOWNS = [
  ["SIGINT", 20_000],
  ["SIGQUIT", 10_000],
] as const;

/** Signals this process only: `pg_ctl stop` reads the lock file again, and could stop the server of another command. */
async function endProcess(pid: number): Promise<void> {
  for (const [signal, patienceMs] of SHUTDOWNS) {
    send(pid, signal);
    const deadline = Date.now() + patienceMs;
    while (isRunning(pid) && Date.now() < deadline) await delay(20);
    if (!isRunning(pid)) return;
  }
  throw new Problem(`PostgreSQL (process ${pid}) does not stop: end it (kill -9 ${pid})`);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPERM")
      throw new Problem(`a PostgreSQL server of another user is running: stop it (kill -INT ${pid})`);
    if (code !== "ESRCH") throw error;
  }
}
