import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, realpathSync } from "node:fs";

/** A process id together with the birth of the process, since ids are given again. Undefined where it has ended. */
export function identityOf(pid: number): string | undefined {
  const birth = process.platform === "linux" ? birthFromProc(pid) : birthFromList(pid);
  return birth === undefined ? undefined : `${pid}:${birth}`;
}

/** Whether a process has this id. A dead one that its parent has not asked after yet counts as gone. */
export function isRunning(pid: number): boolean {
  return identityOf(pid) !== undefined;
}

/** Whether a process works in this folder, as PostgreSQL does in that of its data. */
export function worksIn(pid: number, folder: string): boolean {
  const real = realpathSync(folder);
  if (process.platform === "linux") return attempt(() => readlinkSync(`/proc/${pid}/cwd`)) === real;
  return commandLineOf(pid).includes(real);
}

/** The words of its command line, separated by spaces; empty where it has ended. */
export function commandLineOf(pid: number): string {
  if (process.platform !== "linux") return listed(pid, "command") ?? "";
  return attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.replaceAll("\0", " ") ?? "";
}

function birthFromProc(pid: number): string | undefined {
  // The name stands in brackets and may hold anything; the state is the first field after it, the birth the twentieth.
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

/** A process that is gone, or another user's, has nothing to tell. */
function attempt(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
