import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { Command } from "commander";
import { openDatabase } from "../lib/store/connect.ts";
import { contentsOf } from "../prisma/demo/contents.ts";
import { requireCurrentSchema } from "./existing-database.ts";
import { invokeFollowUps } from "./invocation.ts";
import { LOCAL_FOLDER, withDatabase } from "./postgres/local-database.ts";
import { Problem } from "./problem.ts";
import { Spinner } from "./spinner.ts";

const LESSON = `
The event is what AWS would send: all keys are optional, unknown ones are refused with a message that names them.
  trigger        schedule, manual (as if not said) or catch_up
  dryRun         true decides and tells, and leaves no trace
  only           names of steps, such as ["backstop"]
  workspaceId    one tenant only
  limit          at most so many due steps

The report goes to standard output as JSON, and nothing else does. The exit code is 0 when the run was a success, and 1
otherwise. E-mail goes to files in .local/outbox unless EMAIL_TRANSPORT says smtp (with SMTP_URL) or ses; for a DATABASE_URL
that holds more than demo data it has to be said, so that nothing real is marked as sent by mistake.

Examples:
  $ npm run backstop -- invoke events/dry-run.json
  $ npm run --silent backstop -- invoke events/backstop-only.json | jq .backstop
  $ echo '{"only": ["send-due"], "limit": 10}' | npm run backstop -- invoke -`;

/** The command `invoke [file]`. Throws errors as Problem; a failed run sets the exit code. */
export function invokeCommand(): Command {
  return new Command("invoke")
    .summary("invoke the function with an event, and print its report")
    .description("Invokes functions/followups.ts in this process, as AWS does, and prints the report as JSON.")
    .argument("[file]", "a JSON file with the event; - reads standard input; none means the event {}")
    .option("--folder <path>", "where the local database and its mails lie", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async (file: string | undefined, { folder }: { folder: string }) => {
      const report = await invoke(await readEvent(file), resolve(folder));
      process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
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
export const readEventText = (file: string): Promise<string> =>
  file === "-" ? text(process.stdin) : readEventFile(file);

async function readEventFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const reason = REASONS[(cause as NodeJS.ErrnoException).code ?? ""] ?? String(cause);
    throw new Problem(`the event ${file} cannot be read: ${reason}; examples lie in events/`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "this user may not read it",
};

async function invoke(event: unknown, folder: string) {
  const given = Boolean(process.env["DATABASE_URL"]);
  if (!given && !existsSync(join(folder, "postgres"))) {
    throw new Problem("there is no database yet: `npm start` makes one with demo data, or set DATABASE_URL");
  }
  const spinner = new Spinner();
  try {
    return await withDatabase(
      async (databaseUrl) => {
        if (given && !process.env["EMAIL_TRANSPORT"]) await requireDemoOnly(databaseUrl);
        spinner.tell("Invoking functions/followups.ts");
        return await invokeFollowUps(event, { databaseUrl, outbox: join(folder, "outbox") });
      },
      { folder, onProgress: (line) => spinner.tell(line) },
    );
  } finally {
    spinner.stop();
  }
}

/** Real leads need EMAIL_TRANSPORT: mails in files do not reach them. The run itself rejects an outdated schema. */
async function requireDemoOnly(databaseUrl: string): Promise<void> {
  const database = openDatabase({ connectionString: databaseUrl });
  try {
    const isRefused = await requireCurrentSchema(database).then(
      () => false,
      () => true,
    );
    if (isRefused) return;
    if ((await contentsOf(database.prisma)) !== "other") return;
  } finally {
    await database.close();
  }
  throw new Problem(
    "the database of DATABASE_URL holds more than demo data: set EMAIL_TRANSPORT to smtp or ses, or to files where no mail shall go out",
  );
}
