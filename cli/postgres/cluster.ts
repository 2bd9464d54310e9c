import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileProblem, Problem } from "../problem.ts";
import { asOwnerOf, isRunning, type PostgresPrograms, requireEntry, runPostgres } from "./programs.ts";

/** A PostgreSQL cluster on disk: its data, the password of its only user, and the log of its last start. */
export interface Cluster {
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly password: string;
}

interface ClusterOptions {
  readonly onProgress: (line: string) => void;
  readonly signal: AbortSignal;
  /** Whether its data must survive a power failure. */
  readonly durable: boolean;
  /** initdb options that replace `SAME_EVERYWHERE`, which needs PostgreSQL 17. */
  readonly initdb?: readonly string[] | undefined;
}

/** The builtin locale sorts the same on every system. */
const SAME_EVERYWHERE = [
  ...["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
  ...["--set=timezone=UTC", "--set=log_timezone=UTC"],
];

/** The name of both the user and the database. */
export const OWNER = "backstop";

/**
 * Finds or creates the cluster of a folder. A new cluster is created beside the folder and then renamed, so that an
 * interrupted creation never looks complete. Throws a Problem if the folder is not usable.
 */
export async function ensureCluster(
  folder: string,
  programs: PostgresPrograms,
  options: ClusterOptions,
): Promise<Cluster> {
  try {
    await mkdir(dirname(folder), { recursive: true });
    await removeAbandoned(folder);
    if (!(await isComplete(folder))) {
      await moveAside(folder, options);
      await makeInPlace(folder, programs, options);
    }
    requireEntry(await asOwnerOf(clusterFiles(folder).data, programs), folder);
    return { ...clusterFiles(folder), password: await readFile(join(folder, "password"), "utf8") };
  } catch (error) {
    throw fileProblem(error, folder) ?? error;
  }
}

/** The paths of a cluster's files, whether they exist or not. */
export function clusterFiles(folder: string): Omit<Cluster, "password"> {
  return { folder, data: join(folder, "data"), log: join(folder, "server.log") };
}

async function isComplete(folder: string): Promise<boolean> {
  const files = ["password", "data/PG_VERSION", "data/global/pg_control"];
  const found = await Promise.all(files.map((file) => exists(join(folder, file))));
  return found.every(Boolean);
}

/** Renames an incomplete folder instead of deleting it: it may hold data. */
async function moveAside(folder: string, options: ClusterOptions): Promise<void> {
  if (!(await exists(folder))) return;
  const aside = `${folder}.broken-${randomBytes(4).toString("hex")}`;
  options.onProgress(`${folder} has no complete database: moving it to ${aside}`);
  await rename(folder, aside);
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** `<folder>.making-<process id>-<anything>` */
const makingPrefix = (folder: string) => `${basename(folder)}.making-`;

async function removeAbandoned(folder: string): Promise<void> {
  const names = await readdir(dirname(folder));
  const abandoned = names.filter((name) => {
    const [prefix, rest] = [makingPrefix(folder), name.slice(makingPrefix(folder).length)];
    return name.startsWith(prefix) && !isRunning(Number.parseInt(rest, 10));
  });
  for (const name of abandoned) await rm(join(dirname(folder), name), { recursive: true, force: true, maxRetries: 5 });
}

async function makeInPlace(folder: string, programs: PostgresPrograms, options: ClusterOptions): Promise<void> {
  options.onProgress(`Creating a PostgreSQL database in ${folder} (once)`);
  const making = join(dirname(folder), `${makingPrefix(folder)}${process.pid}-${randomBytes(4).toString("hex")}`);
  try {
    await make(making, programs, options);
    await rename(making, folder).catch((error: NodeJS.ErrnoException) => {
      // Another run created it first; use that one.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(making, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function make(folder: string, programs: PostgresPrograms, options: ClusterOptions): Promise<void> {
  const { data } = clusterFiles(folder);
  const passwordForInitdb = join(data, "..", "password.initdb");
  const password = randomBytes(24).toString("base64url");
  await mkdir(folder);
  await mkdir(data, { mode: 0o700 });
  // The postgres user must be able to enter the folder under any umask.
  await chmod(folder, 0o755);
  requireEntry(programs, folder);
  await writeFile(join(folder, "password"), password, { mode: 0o600 });
  await writeFile(passwordForInitdb, password, { mode: 0o600 });
  if (programs.account) {
    for (const path of [data, passwordForInitdb]) await chown(path, programs.account.uid, programs.account.gid);
  }
  await runToEnd(programs.binaries.initdb, initdbOptions(data, passwordForInitdb, options), programs, options.signal);
  await rm(passwordForInitdb);
  const single = ["--single", "-D", data, ...(options.durable ? [] : ["-F"]), "postgres"];
  await runToEnd(programs.binaries.postgres, single, programs, options.signal, `CREATE DATABASE ${OWNER};\n`);
}

function initdbOptions(data: string, passwordFile: string, options: ClusterOptions): string[] {
  const access = [`--username=${OWNER}`, `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
  const own = options.initdb ?? SAME_EVERYWHERE;
  return [`--pgdata=${data}`, "--encoding=UTF8", ...access, ...own, ...(options.durable ? [] : ["--no-sync"])];
}

async function runToEnd(
  file: string,
  options: readonly string[],
  programs: PostgresPrograms,
  signal: AbortSignal,
  input = "",
): Promise<void> {
  const { code, output } = await runPostgres(file, options, programs, { signal, input });
  signal.throwIfAborted();
  if (code !== 0 || /^\S*(ERROR|FATAL|PANIC):/m.test(output)) throw programFailed(file, code, output);
}

function programFailed(file: string, code: number | string, output: string): Problem {
  if (output.includes("No space left on device")) return noSpace();
  const reason = output.match(/(?:error|ERROR|FATAL|PANIC): +(.*)/)?.[1] ?? output.trim().split("\n").at(-1);
  const advice = "if you cannot fix this, set DATABASE_URL to your own database";
  return new Problem(`PostgreSQL's ${basename(file)} failed (${code}): ${reason}; ${advice}`);
}

export function noSpace(): Problem {
  return new Problem("the disk has no space left for PostgreSQL: free some space and try again");
}
