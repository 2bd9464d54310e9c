import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, realpathSync } from "node:fs";

/** The process id with the start time of the process, because ids are reused. Undefined if the process has ended. */
export function identityOf(pid: number): string | undefined {
  const birth = process.platform === "linux" ? birthFromProc(pid) : birthFromList(pid);
  return birth === undefined ? undefined : `${pid}:${birth}`;
}

/** Whether a process with this id runs. A zombie counts as ended. */
export function isRunning(pid: number): boolean {
  return identityOf(pid) !== undefined;
}

/** Whether this folder is the working directory of the process. PostgreSQL uses its data folder. */
export function worksIn(pid: number, folder: string): boolean {
  const real = realpathSync(folder);
  if (process.platform === "linux") return attempt(() => readlinkSync(`/proc/${pid}/cwd`)) === real;
  return commandLineOf(pid).includes(real);
}

/** The command line of a process, separated by spaces; empty if it has ended. */
export function commandLineOf(pid: number): string {
  if (process.platform !== "linux") return listed(pid, "command") ?? "";
  return attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.replaceAll("\0", " ") ?? "";
}

function birthFromProc(pid: number): string | undefined {
  // The name is in parentheses and may contain any character. After it, the state is field 1, the start time field 20.
  const fields = attempt(() => readFileSync(`/proc/${pid}/stat`, "utf8"))
    ?.replace(/^.*\) /s, "")
    .split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}

function birthFromList(pid: number): string | undefined {
  return listed(pid, "lstart")?.replace(/\W+/g, "-") || undefined;
}

function listed(pid: number, column: string): string | undefined {
  return attempt(() => execFileSync("ps", ["-ww", "-o", `${column}=`, "-p", String(pid)], { encoding: "utf8" }).trim());
}

/** Returns undefined if the process has ended or belongs to another user. */
function attempt(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
