import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";

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
