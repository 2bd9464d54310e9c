import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { open, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { spawnWithParent } from "./kill-with-parent.ts";
import { type Cluster, noSpace, OWNER } from "./postgres-cluster.ts";
import { asOwnerOf, type PostgresPrograms, spawnSettings } from "./postgres-programs.ts";
import { readPostmasterFile } from "./postmaster-file.ts";
import { Problem } from "./problem.ts";
import { ownerSetting, takeOver } from "./stray-server.ts";

export interface PostgresServer {
  readonly url: string;
  readonly pid: number;
  /** Resolves if the server ends without `stop`. */
  readonly died: Promise<Problem>;
  /** Stops the server and waits for its exit. A no-op after that. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
  /** By default a free port. */
  readonly port?: number | undefined;
  /** Additional server settings: `{ fsync: "off" }`. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

const ATTEMPTS = 40;
const BETWEEN_ATTEMPTS_MS = 250;
const READY_TIMEOUT_MS = 120_000;
const PATIENCE_MS = 2_000;

/**
 * Starts a cluster on 127.0.0.1, after it ends the server of a killed run. PostgreSQL's own lock allows one server per
 * cluster. Throws a Problem if the server does not start or another run uses the cluster.
 */
export async function startServer(
  cluster: Cluster,
  programs: PostgresPrograms,
  options: ServerOptions,
): Promise<PostgresServer> {
  const ownPrograms = await asOwnerOf(cluster.data, programs);
  for (let attempt = 1; ; attempt++) {
    await takeOver(cluster.data, options);
    const port = options.port ?? (await freePort());
    const child = await spawnServer(cluster, ownPrograms, port, options.settings ?? {});
    if (await becomesReady(child, cluster, options)) return serverOf(child, cluster, port);
    const failure = startFailure(await readFile(cluster.log, "utf8"), cluster, port);
    if (attempt >= ATTEMPTS || !isPassing(failure, options.port !== undefined)) throw failure.problem;
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

async function spawnServer(
  cluster: Cluster,
  programs: PostgresPrograms,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<ChildProcess> {
  const own = { listen_addresses: "127.0.0.1", port: String(port), unix_socket_directories: "", ...ownerSetting() };
  const flags = Object.entries({ ...own, ...settings }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  // A file instead of a pipe: PostgreSQL may log after the reader of a pipe is gone.
  const log = await open(cluster.log, "w");
  try {
    const stdio: ["ignore", number, number] = ["ignore", log.fd, log.fd];
    const child = spawnWithParent(programs.binaries.postgres, ["-D", cluster.data, ...flags], {
      ...spawnSettings(programs),
      stdio,
    });
    await once(child, "spawn");
    return child;
  } finally {
    await log.close();
  }
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

async function becomesReady(child: ChildProcess, cluster: Cluster, options: ServerOptions): Promise<boolean> {
  const patience = setTimeout(() => options.onProgress("PostgreSQL is still starting"), PATIENCE_MS);
  const deadline = Date.now() + READY_TIMEOUT_MS;
  try {
    while (!hasEnded(child)) {
      options.signal.throwIfAborted();
      const file = await readPostmasterFile(cluster.data);
      if (file?.pid === child.pid && file?.ready) return true;
      if (Date.now() > deadline) throw new Problem(`PostgreSQL does not become ready; its log is ${cluster.log}`);
      await delay(20);
    }
    return false;
  } catch (error) {
    await end(child);
    throw error;
  } finally {
    clearTimeout(patience);
  }
}

interface StartFailure {
  readonly kind: "port_taken" | "busy" | "other";
  readonly problem: Problem;
}

function startFailure(log: string, { folder, log: file }: Cluster, port: number): StartFailure {
  if (/could not bind|could not create any TCP\/IP sockets/.test(log)) {
    const problem = new Problem(`port ${port} on 127.0.0.1 is taken: end what listens there, or run this again`);
    return { kind: "port_taken", problem };
  }
  // Another run is starting, or the children of a killed server are still ending.
  if (/postmaster\.pid" (already exists|is empty)|pre-existing shared memory block/.test(log)) {
    return { kind: "busy", problem: new Problem(`another PostgreSQL holds ${folder}: end it, and run this again`) };
  }
  return { kind: "other", problem: log.includes("No space left on device") ? noSpace() : notStarted(log, file) };
}

function notStarted(log: string, file: string): Problem {
  const [, reason, detail] = log.match(/(?:FATAL|PANIC): +(.*)(?:\n.*DETAIL: +(.*))?/) ?? [];
  const why = [reason ?? log.trim().split("\n").at(-1), detail].filter(Boolean).join("; ");
  return new Problem(`PostgreSQL would not start: ${why} (all of it in ${file})`);
}

function isPassing(failure: StartFailure, portWasGiven: boolean): boolean {
  return failure.kind === "busy" || (failure.kind === "port_taken" && !portWasGiven);
}

function serverOf(child: ChildProcess, cluster: Cluster, port: number): PostgresServer {
  let stopping = false;
  const died = new Promise<Problem>((resolve) => {
    const tell = async () => {
      if (!stopping) resolve(diedProblem(child, await readFile(cluster.log, "utf8"), cluster.log));
    };
    if (hasEnded(child)) void tell();
    else child.once("exit", tell);
  });
  return {
    url: `postgresql://${OWNER}:${cluster.password}@127.0.0.1:${port}/${OWNER}`,
    pid: child.pid ?? Number.NaN,
    died,
    async stop() {
      stopping = true;
      await end(child);
    },
  };
}

function diedProblem(child: ChildProcess, log: string, file: string): Problem {
  if (log.includes("No space left on device")) return noSpace();
  const how = child.signalCode ? `was ended by ${child.signalCode}` : `ended with code ${child.exitCode}`;
  return new Problem(`PostgreSQL ${how} in the middle of the work: run this again; its log is ${file}`);
}

const FAST_MS = 20_000;

/** Requests a fast shutdown, then an immediate one after `FAST_MS`. Committed data survives both. */
async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGINT");
  const harder = setTimeout(() => child.kill("SIGQUIT"), FAST_MS);
  await ended;
  clearTimeout(harder);
}
