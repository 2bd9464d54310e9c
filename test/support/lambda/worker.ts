import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { type Answer, RuntimeApi } from "./runtime-api.ts";

export interface WorkerOptions {
  /** The folder with `index.mjs` that is uploaded. */
  readonly bundle: string;
  readonly handler?: string;
  /** The function's environment, in addition to the variables that Lambda sets. */
  readonly environment: Readonly<Record<string, string>>;
  readonly functionName?: string;
}

/** A local Lambda worker: the bundle under AWS's runtime client, in its own process. */
export interface LambdaWorker {
  /** Milliseconds from process start to the first request for work. Rejects if the function fails to load. */
  readonly initialised: Promise<number>;
  /** The JSON objects that the function prints to standard output and error: logs and metrics. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Invokes the function. After the time limit, kills the worker as Lambda does and rejects with `CutOff`. */
  invoke(event: unknown, timeLimitMs?: number): Promise<Answer>;
  /** Stops the process as Lambda does between two invocations; `thaw` resumes it. */
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

export async function startWorker(options: WorkerOptions): Promise<LambdaWorker> {
  const api = new RuntimeApi();
  const address = await api.listen();
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--require", NATIVE_CLIENT, RUNTIME_CLIENT], {
    env: { ...environmentOfLambda(options, address), ...options.environment },
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

/** The variables that Lambda sets for every function, and as few of this machine's as possible. */
function environmentOfLambda(
  { bundle, handler = "index.handler", functionName = "backstop-dev-follow-ups" }: WorkerOptions,
  address: string,
) {
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
    _HANDLER: handler,
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
