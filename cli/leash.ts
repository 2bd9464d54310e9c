import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

/**
 * Starts a process that is ended when this one is gone, however it went: `kill -9` leaves nobody behind. It is in a group
 * of its own: what a terminal or a supervisor sends to our group does not reach it before we have decided.
 */
export function spawnOnLeash(file: string, options: readonly string[], settings: SpawnOptions): ChildProcess {
  const child = spawn(file, options, { ...settings, detached: true });
  if (child.pid !== undefined) child.once("exit", leash(child.pid));
  return child;
}

/** A shell waits for the end of a pipe that only we hold open. Call the answer once the process has ended by itself. */
function leash(pid: number): () => void {
  if (process.platform === "win32") return () => undefined;
  const script = 'while read -r line; do :; done; kill -INT "$1" 2>/dev/null';
  const shell = spawn("/bin/sh", ["-c", script, "leash", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  shell.on("error", () => undefined);
  shell.unref();
  (shell.stdin as unknown as { unref(): void }).unref();
  return () => {
    shell.kill("SIGKILL");
  };
}
