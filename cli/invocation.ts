import { randomUUID } from "node:crypto";
import type { Context } from "aws-lambda";
import type { Report } from "../lib/run/report.ts";
import { RunFailed } from "../lib/run/run-failed.ts";

/** What Lambda gives to a run that the schedule begins. */
const INVOCATION_MS = 50_000;

export interface InvocationOptions {
  readonly databaseUrl: string;
  /** Where e-mail lands as files, unless the environment names a transport. */
  readonly outbox: string;
}

/**
 * Invokes the function as AWS does, in this process, and answers its report, also that of a run that failed. The function
 * reads its environment once: a process can invoke it on one database only. Throws what the function throws besides.
 */
export async function invokeFollowUps(event: unknown, { databaseUrl, outbox }: InvocationOptions): Promise<Report> {
  process.env["EMAIL_TRANSPORT"] ??= "files";
  // The log and the metrics would be written to standard output, which belongs to the answer.
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
