import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";

/**
 * Starts a process that ends with this one, also after `kill -9`. It has its own process group, so that a signal from a
 * terminal or a supervisor reaches only us and we decide when it ends.
 */
export function spawnWithParent(file: string, options: readonly string[], settings: SpawnOptions): ChildProcess {
  const child = spawn(file, options, { ...settings, detached: true });
  if (child.pid !== undefined) child.once("exit", leash(child.pid));
  return child;
}

/** A shell waits on a pipe that only we hold open. Call the returned function when the process has ended by itself. */
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
