import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import * as z from "zod";
import { esbuildOptions } from "../../infra/bundle.ts";
import { NODE_OPTIONS } from "../../infra/worker-function.ts";
import { FOLDER } from "../database.ts";

const RUNS = 4;
const RUN_MS = 10_000;
const PROCESS = fileURLToPath(new URL("./memory-process.ts", import.meta.url));

const measured = z.object({ atStart: z.number(), peaks: z.array(z.number()), peak: z.number(), sent: z.int() });

/** Resident memory in bytes of a process that only runs the engine. */
export type MemoryMeasured = z.infer<typeof measured>;

/**
 * Several runs of limited duration in a separate process, without a memory limit. The process is bundled like the
 * functions, because loading TypeScript would add memory that a function does not use.
 */
export async function measureMemory(databaseUrl: string): Promise<MemoryMeasured> {
  const folder = join(FOLDER, "memory-process");
  await build(esbuildOptions(PROCESS, folder));
  const child = fork(join(folder, "index.mjs"), [databaseUrl, String(RUNS), String(RUN_MS)], {
    execArgv: NODE_OPTIONS.split(" "),
  });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`the measured process exited with code ${code}`);
  });
  const [message] = await Promise.race([once(child, "message"), ended]);
  ended.catch(() => undefined);
  return measured.parse(message);
}
