import { execFile, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { faultOfPostgres, POSTGRES_PACKAGE } from "../installation.ts";
import { Problem } from "../problem.ts";

/** The executables of the embedded PostgreSQL. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pg_ctl: string;
}

/** The system user that runs PostgreSQL if we are root: PostgreSQL refuses to run as root. */
interface PostgresAccount {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL's executables, and the user that runs them. */
export interface PostgresPrograms {
  readonly binaries: PostgresBinaries;
  readonly account: PostgresAccount | undefined;
}

/** Throws a Problem if there is no PostgreSQL for this platform, or no user to run it as while we are root. */
export async function findPostgres(onProgress: (line: string) => void): Promise<PostgresPrograms> {
  return { binaries: await findBinaries(), account: await findAccount(onProgress) };
}

async function findBinaries(): Promise<PostgresBinaries> {
  const orOwn = "or set DATABASE_URL to your own PostgreSQL";
  const fault = faultOfPostgres();
  if (fault !== undefined) throw new Problem(`${fault}, ${orOwn}`);
  try {
    return (await import(POSTGRES_PACKAGE)) as PostgresBinaries;
  } catch (cause) {
    const missing = `node_modules has no PostgreSQL for this platform (${POSTGRES_PACKAGE})`;
    throw new Problem(`${missing}: run \`npm ci\` with optional dependencies, ${orOwn}`, { cause });
  }
}

async function findAccount(onProgress: (line: string) => void): Promise<PostgresAccount | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const found = await lookUpAccount();
  if (found) return found;
  onProgress("Adding a system user `postgres`, because PostgreSQL does not run as root");
  await createAccount();
  return await lookUpAccount();
}

const execute = promisify(execFile);

async function lookUpAccount(): Promise<PostgresAccount | undefined> {
  const id = (option: string) => execute("id", [option, "postgres"]).then(({ stdout }) => Number.parseInt(stdout, 10));
  try {
    return { uid: await id("-u"), gid: await id("-g") };
  } catch {
    return undefined;
  }
}

async function createAccount(): Promise<void> {
  const options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"];
  await execute("useradd", [...options, "postgres"]).catch((cause) => {
    const advice = "run the command as an ordinary user, or set DATABASE_URL to your own database";
    throw new Problem(`PostgreSQL does not run as root, and no user \`postgres\` could be added: ${advice}`, { cause });
  });
}

/** As root, runs an existing cluster as the owner of its files. */
export async function asOwnerOf(data: string, programs: PostgresPrograms): Promise<PostgresPrograms> {
  if (!programs.account) return programs;
  const { uid, gid } = await stat(data);
  return uid === 0 ? programs : { ...programs, account: { uid, gid } };
}

/** Throws a Problem that names the first parent folder that the postgres user cannot enter. */
export function requireEntry({ binaries, account }: PostgresPrograms, folder: string): void {
  if (!account) return;
  const closed = firstClosed([...pathTo(folder), ...pathTo(dirname(binaries.postgres))], account);
  if (!closed) return;
  const advice = `run the command as an ordinary user, move the checkout, run \`chmod o+x ${closed}\`, or set DATABASE_URL`;
  throw new Problem(`PostgreSQL does not run as root, and its user \`postgres\` may not enter ${closed}: ${advice}`);
}

function firstClosed(folders: readonly string[], account: PostgresAccount): string | undefined {
  const script = 'for folder; do cd "$folder" 2>/dev/null || { printf %s "$folder"; exit; }; done';
  return (
    execFileSync("/bin/sh", ["-c", script, "sh", ...folders], { ...account, cwd: "/", encoding: "utf8" }) || undefined
  );
}

function pathTo(folder: string): string[] {
  const parent = resolve(folder, "..");
  return parent === folder ? [folder] : [...pathTo(parent), folder];
}

/** Spawn options: the user, a working folder that every user can enter, and messages in the C locale for parsing. */
export function spawnSettings({ account }: PostgresPrograms): SpawnOptions {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith("PG") && !name.startsWith("LC_"));
  return { ...account, cwd: "/", env: { ...Object.fromEntries(own), LC_ALL: "C" } };
}

interface RunOptions {
  /** Interrupts the program. It is the caller's task to check the signal afterwards. */
  readonly signal?: AbortSignal;
  readonly input?: string;
}

interface EndedProgram {
  /** The exit code, or the name of the signal that ended the program. */
  readonly code: number | string;
  /** Standard output and standard error. */
  readonly output: string;
}

/** Runs one of PostgreSQL's programs to its end, in its own process group: a terminal's Ctrl-C reaches only us. */
export async function runPostgres(
  file: string,
  words: readonly string[],
  programs: PostgresPrograms,
  { signal, input = "" }: RunOptions = {},
): Promise<EndedProgram> {
  signal?.throwIfAborted();
  const child = spawn(file, words, { ...spawnSettings(programs), stdio: "pipe", detached: true });
  const interrupt = () => child.kill("SIGINT");
  signal?.addEventListener("abort", interrupt);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += chunk));
  child.stdin?.on("error", () => undefined).end(input);
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", reject).once("close", (exitCode, signalName) => resolve(exitCode ?? signalName ?? "unknown"));
  });
  signal?.removeEventListener("abort", interrupt);
  return { code, output };
}

const isLinux = process.platform === "linux";

/** Whether a process with this id runs. On Linux, a zombie counts as ended. */
export function isRunning(pid: number): boolean {
  if (isLinux) return attempt(() => !/^.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"))) ?? false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether a process works in this folder, given as a real path. PostgreSQL works in its data folder. */
export function worksIn(pid: number, folder: string): boolean {
  if (isLinux) return attempt(() => readlinkSync(`/proc/${pid}/cwd`)) === folder;
  return commandLineOf(pid).includes(folder);
}

/** The command line of a process, separated by spaces; empty if it has ended. */
export function commandLineOf(pid: number): string {
  const read = isLinux
    ? () => readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
    : () => execFileSync("ps", ["-ww", "-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  return attempt(read) ?? "";
}

/** Returns undefined if the process has ended or belongs to another user. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
