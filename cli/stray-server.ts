import { setTimeout as delay } from "node:timers/promises";
import { discardPostmasterFile, type PostmasterFile, readPostmasterFile } from "./postmaster-file.ts";
import { Problem } from "./problem.ts";
import { commandLineOf, identityOf, isRunning, worksIn } from "./process-identity.ts";

export interface TakeOverOptions {
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A server setting that names the process that started it, so that a later run can check whether it still runs. */
export function ownerSetting(): Record<string, string> {
  return { "backstop.owner": identityOf(process.pid) ?? String(process.pid) };
}

/**
 * Ends the server that a killed run left on a data folder, and removes a stale lock file. Throws a Problem if the
 * server's owner still runs, or if it was started by hand.
 */
export async function takeOver(data: string, { onProgress, signal }: TakeOverOptions): Promise<void> {
  const found = await readWhole(data);
  if (!found || (found.pid > 0 && !isRunning(found.pid))) return;
  if (!(found.pid > 0 && worksIn(found.pid, data))) return await discardPostmasterFile(data, found);
  const owner = commandLineOf(found.pid).match(/backstop\.owner=((\d+):\S+)/);
  if (!owner) throw foreign(found.pid, data);
  const [, identity, pid] = owner;
  if (identityOf(Number(pid)) === identity) throw inUse(Number(pid), data);
  onProgress(`Ending the PostgreSQL that a killed run left behind (process ${found.pid})`);
  await endStray(found.pid, signal);
}

const WRITING_MS = 500;

/** A starting server creates the file shortly before it fills it, so read it a second time if it is incomplete. */
async function readWhole(data: string): Promise<PostmasterFile | undefined> {
  const found = await readPostmasterFile(data);
  if (!found || found.pid > 0) return found;
  await delay(WRITING_MS);
  return await readPostmasterFile(data);
}

function inUse(pid: number, data: string): Problem {
  return new Problem(`process ${pid} is using the database in ${data}: wait until it is done, or end it (kill ${pid})`);
}

function foreign(pid: number, data: string): Problem {
  return new Problem(`a PostgreSQL that was started by hand serves ${data}: end it first (kill -INT ${pid})`);
}

/** Signals and how long to wait after each: fast shutdown, immediate shutdown, kill. */
const WAYS_TO_END = [
  ["SIGINT", 10_000],
  ["SIGQUIT", 5_000],
  ["SIGKILL", 2_000],
] as const;

async function endStray(pid: number, signal: AbortSignal): Promise<void> {
  for (const [way, patienceMs] of WAYS_TO_END) {
    send(pid, way);
    const deadline = Date.now() + patienceMs;
    while (isRunning(pid) && Date.now() < deadline) await delay(20, undefined, { signal });
    if (!isRunning(pid)) return;
  }
  throw new Problem(`the PostgreSQL that a killed run left behind does not end: end it yourself (kill -9 ${pid})`);
}

function send(pid: number, way: NodeJS.Signals): void {
  try {
    process.kill(pid, way);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EPERM") throw new Problem(`another user's PostgreSQL is in the way: end it (kill -INT ${pid})`);
    if (code !== "ESRCH") throw error;
  }
}
