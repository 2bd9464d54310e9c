import { beforeEach } from "@jest/globals";
import type { Context } from "aws-lambda";
import { perChannel } from "../../lib/domain/labels.ts";
import { loadConfig } from "../../lib/platform/config.ts";
import { wire } from "../../lib/platform/wire.ts";
import type { MessageChannel, OutgoingTouch, SendOutcome } from "../../lib/run/channel-ports.ts";
import type { OverlapLock, RunPorts } from "../../lib/run/ports.ts";
import type { Report } from "../../lib/run/report.ts";
import { runFollowUps } from "../../lib/run/run.ts";
import type { RunSettings } from "../../lib/run/step.ts";
import type { FollowUpStore } from "../../lib/run/store-ports.ts";
import type { Database } from "../../lib/store/connect.ts";
import { atEnd } from "./at-end.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { type UsedDatabase, type UseOptions, useDatabase } from "./use-database.ts";

/** A double for every provider: records the touches and returns a configurable outcome. */
export class RecordingChannel implements MessageChannel {
  readonly sent: OutgoingTouch[] = [];
  /** Returns the outcome of a touch. Tests also use it for side effects during the send. */
  answer: (touch: OutgoingTouch) => SendOutcome | Promise<SendOutcome> = accept;

  send(touch: OutgoingTouch): Promise<SendOutcome> {
    this.sent.push(touch);
    return Promise.resolve(this.answer(touch));
  }

  reset(): void {
    this.sent.length = 0;
    this.answer = accept;
  }

  sentTo(workspaceId: string): readonly OutgoingTouch[] {
    return this.sent.filter((touch) => touch.workspaceId === workspaceId);
  }
}

export const accept = (touch: OutgoingTouch): SendOutcome => ({ kind: "accepted", providerId: `provider:${touch.id}` });

export interface LogLine {
  readonly level: "info" | "error";
  readonly event: string;
  readonly fields: Record<string, unknown>;
}

/** Overrides of ports and platform values for one run. */
export interface Changes extends Partial<RunPorts> {
  readonly remainingMs?: () => number;
  readonly requestId?: string;
  readonly settings?: Partial<RunSettings>;
}

/** Runs on a real database with its own pool, as in a Lambda worker. Only the providers are doubles. */
export interface Runner {
  readonly ports: RunPorts & { readonly database: Database };
  readonly channel: RecordingChannel;
  readonly lines: readonly LogLine[];
  run(event?: unknown, changes?: Changes): Promise<Report>;
  close(): Promise<void>;
}

export const SETTINGS: RunSettings = { batchSize: 500, claimers: 1, sendsAtOnce: 10, safetyMarginMs: 1_000 };

export function openRunner(url: string): Runner {
  const channel = new RecordingChannel();
  const lines: LogLine[] = [];
  const config = loadConfig({ DATABASE_URL: url, EMAIL_TRANSPORT: "files", OUTBOX_DIRECTORY: "unused" });
  const log = {
    info: (event: string, fields: Record<string, unknown>) => lines.push({ level: "info", event, fields }),
    error: (event: string, fields: Record<string, unknown>) => lines.push({ level: "error", event, fields }),
  };
  const channels = perChannel(() => channel);
  const ports = { ...wire(config, log), channels };
  return {
    ports,
    channel,
    lines,
    run(event = {}, { remainingMs = () => 60_000, requestId = "a-request", settings, ...changed } = {}) {
      const invocation = { requestId, remainingMs };
      return runFollowUps(event, invocation, { ...ports, ...changed }, { ...SETTINGS, ...settings });
    },
    close: () => ports.database.close(),
  };
}

/** `useDatabase` with a runner. With `empty`, its channel is reset before each test, too. */
export async function useRunner(options: UseOptions = {}): Promise<UsedRunner> {
  const used = await useDatabase(options);
  const runner = openRunner(used.database.url);
  if (options.empty) beforeEach(() => runner.channel.reset());
  atEnd(() => runner.close());
  return { ...used, runner };
}

interface UsedRunner extends UsedDatabase {
  readonly runner: Runner;
}

/** Changes a run's clock: it reads this instant. */
export const clockAt = (instant: Date | string | number): { now: RunPorts["now"] } => ({
  now: () => Promise.resolve(new Date(instant)),
});

/** A store that starts no touch within its claim, as with a delivery queue. */
export const leftClaimed = (store: FollowUpStore): FollowUpStore => ({
  ...store,
  claimDue: (query, plan) =>
    store.claimDue(query, (candidates) => plan(candidates).map((one) => ({ ...one, starts: false }))),
});

/** A lock that excludes no run: concurrent runs must be harmless without it. */
export const noLock: OverlapLock = {
  tryAcquire: () => Promise.resolve({ pid: 0, isHeld: () => true, release: () => Promise.resolve() }),
  holder: () => Promise.resolve(undefined),
};

/** Invokes the Lambda handler. It reads the environment once, so that a test file can use one database only. */
export async function invokeHandler(url: string, event: unknown, remainingMs = 60_000): Promise<Report> {
  process.env["DATABASE_URL"] ??= url;
  process.env["EMAIL_TRANSPORT"] ??= "files";
  process.env["OUTBOX_DIRECTORY"] ??= await temporaryFolder();
  process.env["LOG_LEVEL"] ??= "SILENT";
  process.env["POWERTOOLS_METRICS_DISABLED"] ??= "true";
  const { handler } = await import("../../functions/followups.ts");
  return await handler(event, lambdaContext(remainingMs));
}

const lambdaContext = (remainingMs: number): Context => ({
  awsRequestId: "a-request-of-the-handler",
  functionName: "follow-ups",
  functionVersion: "1",
  invokedFunctionArn: "arn:aws:lambda:eu-central-1:111111111111:function:follow-ups",
  memoryLimitInMB: "512",
  logGroupName: "follow-ups",
  logStreamName: "one",
  callbackWaitsForEmptyEventLoop: false,
  getRemainingTimeInMillis: () => remainingMs,
  done: () => undefined,
  fail: () => undefined,
  succeed: () => undefined,
});
