import { randomUUID } from "node:crypto";
import type { Context } from "aws-lambda";
import type { Report } from "../lib/run/report.ts";
import { RunFailed } from "../lib/run/run-failed.ts";

/** The Lambda timeout of a scheduled run. */
const INVOCATION_MS = 50_000;

export interface InvocationOptions {
  readonly databaseUrl: string;
  /** The folder to which e-mail is written as files, unless the environment names another transport. */
  readonly outbox: string;
}

/**
 * Invokes the function in this process as AWS does, and returns its report, also if the run failed. Rethrows every
 * other error. The function reads its environment once, so that a process can use one database only.
 */
export async function invokeFollowUps(event: unknown, { databaseUrl, outbox }: InvocationOptions): Promise<Report> {
  process.env["EMAIL_TRANSPORT"] ??= "files";
  // Logs and metrics go to standard output, which is reserved for the report.
  const quiet = { LOG_LEVEL: "SILENT", POWERTOOLS_METRICS_DISABLED: "true" };
  Object.assign(process.env, quiet, { DATABASE_URL: databaseUrl, OUTBOX_DIRECTORY: outbox });
  const { handler } = await import("../functions/followups.ts");
  try {
    return await handler(event, localContext());
  } catch (thrown) {
    if (thrown instanceof RunFailed) return thrown.report;
    throw thrown;
  }
}

function localContext(): Context {
  const endsAt = performance.now() + INVOCATION_MS;
  const name = "backstop-local-follow-ups";
  const ignore = () => undefined;
  return {
    awsRequestId: randomUUID(),
    functionName: name,
    functionVersion: "$LATEST",
    invokedFunctionArn: `arn:aws:lambda:eu-central-1:000000000000:function:${name}`,
    memoryLimitInMB: "1024",
    logGroupName: `/aws/lambda/${name}`,
    logStreamName: "local",
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, Math.round(endsAt - performance.now())),
    done: ignore,
    fail: ignore,
    succeed: ignore,
  };
}
