import { randomUUID } from "node:crypto";
import { join, resolve } from "node:path";
import type { Context } from "aws-lambda";
import { Command, Option } from "commander";
import { type Report, RunFailed } from "../../lib/run/report.ts";
import { parseRequest } from "../../lib/run/request.ts";
import { STEPS } from "../../lib/run/steps.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { contentsOf } from "../../prisma/demo/load-demo.ts";
import { readEvent } from "../event-file.ts";
import { requireCurrentSchema, requireExistingDatabase } from "../existing-database.ts";
import { type Place, withPlace } from "../operator.ts";
import { withDatabase } from "../postgres/local-database.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { readableReport } from "../run-summary.ts";
import { invokeRunOf } from "../stage-run.ts";
import { Spinner } from "../terminal.ts";

const INVOKE_HELP = `
The event has the form that AWS would send. All keys are optional; unknown keys
are rejected with a message that names them.
  trigger        schedule or manual (default)
  dryRun         true decides and reports, and changes nothing
  only           names of steps, such as ["backstop"]
  workspaceId    one workspace only
  limit          maximum number of due steps

On a terminal, the command prints a summary; into a pipe or a file, the report
as JSON and nothing else. --json and --summary select one of them.

E-mails are written to .local/outbox unless EMAIL_TRANSPORT is smtp (with
SMTP_URL) or ses. If DATABASE_URL contains more than demo data, a run that sends
requires EMAIL_TRANSPORT, so that no e-mail to a real lead is marked as sent by
mistake. A dry run needs none.

With --stage, it invokes the function of the stage, which sends as the stage is
configured, and waits for the run, which takes up to a minute. That needs
lambda:InvokeFunction for backstop-<stage>-follow-ups.

Exits with 1 if the run failed.

Examples:
  $ npm run backstop -- invoke events/dry-run.json
  $ npm run backstop -- invoke events/dry-run.json --stage production
  $ npm run --silent backstop -- invoke events/backstop-only.json | jq .backstop
  $ echo '{"limit": 10}' | npm run backstop -- invoke - --summary`;

interface InvokeOptions extends Place {
  readonly json?: true;
  readonly summary?: true;
}

/** The command `invoke [file]`. Throws errors as Problem; a failed run sets the exit code. */
export function invokeCommand(): Command {
  return withPlace(new Command("invoke"))
    .summary("invoke the function with an event and print its report")
    .description(
      "Invokes functions/followups.ts in this process as AWS does, or that of a stage, and prints a summary or the report as JSON.",
    )
    .argument("[file]", "JSON file with the event; - reads standard input; the default is the event {}")
    .addOption(new Option("--json", "print the report as JSON").conflicts("summary"))
    .option("--summary", "print a summary")
    .addHelpText("after", INVOKE_HELP)
    .action(async (file: string | undefined, { stage, folder, json, summary }: InvokeOptions) => {
      const event = file === undefined ? {} : await readEvent(file);
      const report = stage === undefined ? await invoke(event, resolve(folder)) : await invokeRunOf(stage, event);
      const readable = summary ?? (!json && process.stdout.isTTY);
      print(`${readable ? readableReport(report) : JSON.stringify(report, null, 2)}\n`);
      process.exitCode = report.success ? 0 : 1;
    });
}

async function invoke(event: unknown, folder: string) {
  requireExistingDatabase(folder);
  const given = Boolean(process.env["DATABASE_URL"]);
  const spinner = new Spinner();
  try {
    return await withDatabase(
      async (databaseUrl) => {
        if (given && !process.env["EMAIL_TRANSPORT"] && maySend(event)) await requireDemoOnly(databaseUrl);
        spinner.show("Invoking functions/followups.ts");
        return await invokeFollowUps(event, { databaseUrl, outbox: join(folder, "outbox") });
      },
      { folder, onProgress: (line) => spinner.show(line) },
    );
  } finally {
    spinner.stop();
  }
}

/** Whether the run of this event may send something. An invalid event is rejected by the run. */
function maySend(event: unknown): boolean {
  const parsed = parseRequest(event);
  if (!parsed.ok || parsed.request.dryRun) return false;
  const { only } = parsed.request;
  return STEPS.some(({ name, sends }) => sends && (only?.includes(name) ?? true));
}

/** Real leads need EMAIL_TRANSPORT: e-mails in files do not reach them. The run itself rejects an outdated schema. */
async function requireDemoOnly(databaseUrl: string): Promise<void> {
  const database = openDatabase({ connectionString: databaseUrl });
  try {
    const isRefused = await requireCurrentSchema(database).then(
      () => false,
      () => true,
    );
    if (isRefused) return;
    if ((await contentsOf(database)) !== "other") return;
  } finally {
    await database.close();
  }
  throw new Problem(
    "the database of DATABASE_URL contains more than demo data: set EMAIL_TRANSPORT to smtp or ses, or to files to send no e-mail",
  );
}

/** The Lambda timeout of a scheduled run. */
const INVOCATION_MS = 50_000;

interface InvocationOptions {
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
  const { handler } = await import("../../functions/followups.ts");
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
