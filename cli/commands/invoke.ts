import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import type { Context } from "aws-lambda";
import { Command, Option } from "commander";
import { applyEvent } from "../../lib/run/apply-messages.ts";
import { type Report, RunFailed } from "../../lib/run/report.ts";
import { parseRequest } from "../../lib/run/request.ts";
import { STEPS } from "../../lib/run/steps.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { contentsOf } from "../../prisma/demo/load-demo.ts";
import { requireCurrentSchema, requireExistingDatabase, withExistingDatabase } from "../existing-database.ts";
import { withDatabase } from "../postgres/local-database.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { reportText } from "../run-summary.ts";
import { folderOption, Spinner } from "../terminal.ts";

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

Exits with 1 if the run failed.

Examples:
  $ npm run backstop -- invoke events/dry-run.json
  $ npm run --silent backstop -- invoke events/backstop-only.json | jq .backstop
  $ echo '{"limit": 10}' | npm run backstop -- invoke - --summary`;

interface InvokeOptions {
  readonly folder: string;
  readonly json?: true;
  readonly summary?: true;
}

/** The command `invoke [file]`. Throws errors as Problem; a failed run sets the exit code. */
export function invokeCommand(): Command {
  return new Command("invoke")
    .summary("invoke the function with an event and print its report")
    .description(
      "Invokes functions/followups.ts in this process as AWS does, and prints a summary or the report as JSON.",
    )
    .argument("[file]", "JSON file with the event; - reads standard input; the default is the event {}")
    .addOption(new Option("--json", "print the report as JSON").conflicts("summary"))
    .option("--summary", "print a summary")
    .addOption(folderOption("folder of the local database and the e-mails"))
    .addHelpText("after", INVOKE_HELP)
    .action(async (file: string | undefined, { folder, json, summary }: InvokeOptions) => {
      const report = await invoke(await readEvent(file), resolve(folder));
      const readable = summary ?? (!json && process.stdout.isTTY);
      print(`${readable ? reportText(report) : JSON.stringify(report, null, 2)}\n`);
      process.exitCode = report.success ? 0 : 1;
    });
}

async function readEvent(file: string | undefined): Promise<unknown> {
  if (file === undefined) return {};
  const content = await readEventText(file);
  try {
    return JSON.parse(content);
  } catch (cause) {
    const name = file === "-" ? "standard input" : file;
    throw new Problem(`${name} is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** Reads a file, or standard input for `-`. Throws a Problem if the file cannot be read. */
const readEventText = (file: string): Promise<string> => (file === "-" ? text(process.stdin) : readEventFile(file));

async function readEventFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const reason = REASONS[(cause as NodeJS.ErrnoException).code ?? ""] ?? String(cause);
    throw new Problem(`the event ${file} cannot be read: ${reason}; see the examples in events/`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "the file does not exist",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
};

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

const INTAKE_HELP = `
The event has the form that EventBridge delivers: "detail-type" names the fact,
"detail" has the fields of docs/events.md.

The outcome goes to standard output as JSON: applied, stale, duplicate, or
refused with the reason. A refused event is not stored.

Exits with 1 if the event was refused.

Examples:
  $ npm run backstop -- intake events/intake/lead.enrolled.json
  $ jq '.detail.eventId = "mine"' events/intake/meeting.booked.json |
      npm run backstop -- intake -`;

/** The command `intake <file>`. Throws errors as Problem. */
export function intakeCommand(): Command {
  return new Command("intake")
    .summary("apply an event, such as a booking, a reply or an enrolment")
    .description("Applies one event as functions/intake.ts does, and prints the outcome.")
    .argument("<file>", "JSON file with the event; - reads standard input")
    .addOption(folderOption("folder of the local database"))
    .addHelpText("after", INTAKE_HELP)
    .action(async (file: string, { folder }: { folder: string }) => {
      const body = await readEventText(file);
      const outcomes = await withExistingDatabase(folder, (database) => applyEvent(body, intakeStore(database)));
      for (const outcome of outcomes) process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
      process.exitCode = outcomes.some(({ outcome }) => outcome === "refused") ? 1 : 0;
    });
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
