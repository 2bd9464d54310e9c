import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { type Answer, RuntimeApi } from "./runtime-api.ts";

export interface WorkerOptions {
  /** The folder with `index.mjs`: what is uploaded. */
  readonly bundle: string;
  /** All that the function finds in its environment, besides what Lambda itself sets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly functionName?: string;
}

/** One worker of Lambda on this machine: the bundle under AWS's own runtime client, in a process of its own. */
export interface LambdaWorker {
  /** From the start of the process to the first question for work, in milliseconds; rejected where the function cannot be loaded. */
  readonly initialised: Promise<number>;
  /** Lines of the function's standard output and error that are JSON objects: its log and its metrics. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Invokes it. Past the time limit the worker is killed, as Lambda does, and this is rejected with `CutOff`. */
  invoke(event: unknown, timeLimitMs?: number): Promise<Answer>;
  /** Stops the process as Lambda freezes it between two invocations; `thaw` lets it go on. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export class CutOff extends Error {}

const TIME_LIMIT_MS = 50_000;
const RUNTIME_CLIENT = join(
  dirname(createRequire(import.meta.url).resolve("aws-lambda-ric/package.json")),
  "index.mjs",
);
const NATIVE_CLIENT = join(import.meta.dirname, "native-client.cjs");

export async function startWorker({ bundle, environment, functionName }: WorkerOptions): Promise<LambdaWorker> {
  const api = new RuntimeApi();
  const address = await api.listen();
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--require", NATIVE_CLIENT, RUNTIME_CLIENT], {
    env: { ...environmentOfLambda(bundle, functionName, address), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = linesOf(child);
  child.once("exit", () => api.abandon(new CutOff("the worker has ended")));
  const initialised = api.initialised.then(() => performance.now() - startedMs);
  initialised.catch(() => undefined);
  return {
    initialised,
    lines,
    async invoke(event, timeLimitMs = TIME_LIMIT_MS) {
      const killer = setTimeout(() => child.kill("SIGKILL"), timeLimitMs);
      try {
        return await api.invoke(event, timeLimitMs);
      } finally {
        clearTimeout(killer);
      }
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async close() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      await api.close();
    },
  };
}

/** What Lambda sets for every function, and no more of this machine's environment than a program needs. */
function environmentOfLambda(bundle: string, functionName = "backstop-dev-follow-ups", address: string) {
  return {
    PATH: process.env["PATH"] ?? "",
    TZ: ":UTC",
    AWS_LAMBDA_RUNTIME_API: address,
    AWS_LAMBDA_NODEJS_USE_ALTERNATIVE_CLIENT_1: "true",
    AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    AWS_LAMBDA_FUNCTION_NAME: functionName,
    AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
    AWS_LAMBDA_INITIALIZATION_TYPE: "on-demand",
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${functionName}`,
    AWS_LAMBDA_LOG_STREAM_NAME: "local",
    AWS_REGION: "eu-central-1",
    _HANDLER: "index.handler",
    LAMBDA_TASK_ROOT: bundle,
  };
}

function linesOf(child: ChildProcess): readonly Readonly<Record<string, unknown>>[] {
  const lines: Record<string, unknown>[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on("line", (line) => {
      if (line.startsWith("{")) lines.push(JSON.parse(line) as Record<string, unknown>);
    });
  }
  return lines;
}
