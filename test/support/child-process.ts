import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A program of this repository in its own process, as a person would run it. */
export interface RunningProgram {
  readonly process: ChildProcess;
  /** Resolves with the output so far once it matches the pattern; throws if the program ends before that. */
  says(pattern: RegExp): Promise<string>;
  /** Resolves when the program has ended. */
  readonly ended: Promise<EndedProgram>;
}

export interface EndedProgram {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly uid?: number | undefined;
}

/** Compiles a program once, although tests start it many times. */
const NODE_COMPILE_CACHE = fileURLToPath(new URL("../../.local/compile-cache", import.meta.url));

/** Starts `node <file> <words>`, with the file relative to the repository's root, without our own DATABASE_URL. */
export function startProgram(
  file: string,
  words: readonly string[],
  { environment, uid }: StartOptions = {},
): RunningProgram {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  const { DATABASE_URL: _, NODE_OPTIONS: __, ...inherited } = process.env;
  const identity = uid === undefined ? {} : { uid, gid: uid };
  const child = spawn(process.execPath, [path, ...words], {
    env: { ...inherited, NODE_COMPILE_CACHE, ...environment },
    cwd: "/",
    ...identity,
  });
  const written = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (written.stdout += chunk));
  child.stderr.on("data", (chunk) => (written.stderr += chunk));
  const ended = once(child, "close").then(([code]) => ({ code, ...written }));
  return { process: child, ended, says: (pattern) => waitFor(pattern, child, written) };
}

async function waitFor(
  pattern: RegExp,
  child: ChildProcess,
  written: { stdout: string; stderr: string },
): Promise<string> {
  const text = () => written.stdout + written.stderr;
  while (!pattern.test(text())) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`it ended before it said ${pattern}: ${text()}`);
    const change = new AbortController();
    const { signal } = change;
    const changes = [
      once(child.stdout ?? child, "data", { signal }),
      once(child.stderr ?? child, "data", { signal }),
      once(child, "close", { signal }),
    ];
    await Promise.race(changes);
    change.abort();
    await Promise.allSettled(changes);
  }
  return text();
}
