import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { showLead } from "../../lib/operate/show-lead.ts";
import type { Report } from "../../lib/run/report.ts";
import { type Database, openDatabase } from "../../lib/store/connect.ts";
import { hostAndPort } from "../../lib/store/database-errors.ts";
import { clearDemo, contentsOf, loadDemo } from "../../prisma/demo/load-demo.ts";
import { withReceiver } from "../demo.ts";
import { type DemoFacts, withDemoFacts } from "../demo-facts.ts";
import { sweepDemo } from "../demo-sweep.ts";
import { storyText } from "../lead-story.ts";
import { operatorOn } from "../operator.ts";
import { discardLocalDatabase, withDatabase } from "../postgres/local-database.ts";
import { printable } from "../print.ts";
import { fileProblem, Problem } from "../problem.ts";
import { runSummary } from "../run-summary.ts";
import { confirm, folderOption, Spinner, wholeNumber } from "../terminal.ts";
import { invokeFollowUps } from "./invoke.ts";
import { migrateDatabase } from "./migrate.ts";

const EVENT = fileURLToPath(new URL("../../events/scheduled.json", import.meta.url));
const DEFAULT_LEADS = 3_000;
const DEFAULT_SEED = 1;

const HELP = `
The command opens the local database in .local/postgres, applies the migrations
and loads demo data if the database is empty. A signed webhook of Calendly books one
lead. A sweep of a local stand-in of Calendly finds the booking of another, whose
webhook was lost. Then the command invokes functions/followups.ts with
events/scheduled.json. The receiver of one e-mail unsubscribes by its link, and
another e-mail bounces. The command prints a summary of the run. E-mails are written to .local/outbox and the report
to .local/report.json. Webhooks go to a local receiver that rejects some of them.
Run the command again to continue with the same data.

With DATABASE_URL, the command uses that database:
  empty         it asks before it loads demo data; --yes answers yes
  demo data     it continues with them, or loads them again with --fresh
  other data    it changes nothing and exits with 1, also with --fresh

Exits with 1 if the run failed.

Examples:
  $ npm start
  $ npm start -- --fresh --leads 100000
  $ npm start -- --fresh --seed 7`;

interface Options {
  readonly fresh?: true;
  readonly yes?: true;
  readonly leads?: number;
  readonly seed?: number;
  readonly folder: string;
}

/** The command `start`. Throws errors as Problem; a failed run sets the exit code. */
export function startCommand(): Command {
  return new Command("start")
    .summary("load demo data, invoke the function once, and print a summary")
    .description(
      "Loads demo data into an empty database, invokes the function as AWS does, and prints a summary of the run.",
    )
    .option("--fresh", "remove the demo data and load it again")
    .option("--leads <count>", `number of leads to load (default: ${DEFAULT_LEADS})`, integer(10, 10_000_000))
    .option("--seed <number>", `seed of the demo data (default: ${DEFAULT_SEED})`, integer(0, 1_000_000))
    .option("--yes", "load demo data into an empty DATABASE_URL without a question")
    .addOption(folderOption("folder of the local database, e-mails and report"))
    .addHelpText("after", HELP)
    .action(async ({ folder, ...options }: Options) => {
      const report = await start({ ...options, folder: resolve(folder) });
      process.exitCode = report.success ? 0 : 1;
    });
}

const integer = (least: number, most: number) => wholeNumber(least, most, "an integer");

async function start(options: Options): Promise<Report> {
  const spinner = new Spinner();
  const onProgress = (line: string) => spinner.show(line);
  const { folder } = options;
  try {
    if (options.fresh && !process.env["DATABASE_URL"]) await discardLocalDatabase({ folder, onProgress });
    return await withDatabase((url, signal) => startOn(url, { ...options, signal }, spinner), { folder, onProgress });
  } catch (error) {
    throw fileProblem(error, folder) ?? error;
  } finally {
    spinner.stop();
  }
}

interface Start extends Options {
  readonly signal: AbortSignal;
}

async function startOn(url: string, options: Start, spinner: Spinner): Promise<Report> {
  const outbox = join(options.folder, "outbox");
  const database = openDatabase({ connectionString: url });
  try {
    const data = await prepare(database, url, options, spinner);
    if (data === "loaded") await emptyOutbox(outbox);
    const happened = await runWithFacts(database, url, outbox, spinner);
    const reportFile = join(options.folder, "report.json");
    await mkdir(options.folder, { recursive: true });
    await writeFile(reportFile, `${JSON.stringify(happened.report, null, 2)}\n`);
    spinner.stop();
    const story = happened.booking && (await storyOf(database, happened.booking.leadId));
    process.stdout.write(runSummary(happened.report, { data, ...happened, outbox, reportFile, story }));
    return happened.report;
  } finally {
    await database.close();
  }
}

/** A booking by webhook, one that only a sweep finds, one run, and what the receivers of its mails do. */
async function runWithFacts(database: Database, url: string, outbox: string, spinner: Spinner) {
  return await withDemoFacts(database, async ({ environment, book, react }) => {
    const before = new Set(await mailsIn(outbox));
    const booking = await book();
    const sweep = await sweepDemo(database);
    const report = await invokeScheduled(url, outbox, environment, spinner);
    const mails = await mailsIn(outbox);
    const newMails = mails.filter((name) => !before.has(name));
    const reactions = await react(
      new Map(newMails.map((name) => [name.slice(0, -EXTENSION.length), join(outbox, name)])),
    );
    return { booking, sweep, report, mails: mails.length, newMails, ...reactions };
  });
}

/** As `leads show` prints it. */
const storyOf = async (database: Database, leadId: string): Promise<string> =>
  printable(storyText(await operatorOn(database.pool).ask(showLead, { lead: leadId })));

/** Migrates the database and loads demo data. Throws a Problem before it changes anything. */
async function prepare(database: Database, url: string, options: Start, spinner: Spinner): Promise<"loaded" | "kept"> {
  const contents = await contentsOf(database);
  if (contents === "other" && process.env["DATABASE_URL"]) throw notDemoProblem();
  if (contents === "nothing" && process.env["DATABASE_URL"]) await requireConsent(url, options, spinner);
  if (contents !== "nothing" && !options.fresh && (options.leads ?? options.seed) !== undefined)
    throw alreadyLoadedProblem();
  await migrateDatabase(url, { onProgress: (line) => spinner.show(line) });
  if (contents !== "nothing" && !options.fresh) return "kept";
  if (contents !== "nothing") await clearDemo(database);
  const { leads = DEFAULT_LEADS, seed = DEFAULT_SEED } = options;
  await loadDemo(database, { leads, seed }, ({ what, done }) => {
    const detail = done > 0 ? `, ${number(done)} done` : "";
    spinner.show(`Loading demo data of ${number(leads)} leads: ${what}`, detail);
  });
  return "loaded";
}

/** The empty database may be the one that production is about to use. */
async function requireConsent(url: string, { yes, signal }: Start, spinner: Spinner): Promise<void> {
  if (yes) return;
  spinner.stop();
  const database = `the empty database ${new URL(url).pathname.slice(1)} at ${hostAndPort({ connectionString: url })}`;
  const question = `Load demo data into ${database}?`;
  const otherwise = `use --yes to load demo data into ${database}, or unset DATABASE_URL`;
  if (!(await confirm({ question, otherwise, signal }))) throw new Problem("nothing was changed");
}

const number = (count: number): string => count.toLocaleString("en");

const notDemoProblem = () =>
  new Problem(
    "the database contains more than demo data, so nothing was changed: unset DATABASE_URL, or use `npm run backstop -- invoke`",
  );
const alreadyLoadedProblem = () =>
  new Problem(
    "the demo data is already loaded, and --leads and --seed only apply to loading: add --fresh to start over",
  );

async function invokeScheduled(
  databaseUrl: string,
  outbox: string,
  links: DemoFacts["environment"],
  spinner: Spinner,
): Promise<Report> {
  const event: unknown = JSON.parse(await readFile(EVENT, "utf8"));
  // Overrides the environment: demo leads are reached only through files and a receiver on this machine.
  process.env["EMAIL_TRANSPORT"] = "files";
  return spinner.during("Invoking functions/followups.ts with events/scheduled.json", () =>
    withReceiver((environment) => {
      Object.assign(process.env, environment, links);
      return invokeFollowUps(event, { databaseUrl, outbox });
    }),
  );
}

/** Mails are named after their touch or digest. */
const EXTENSION = ".eml";

/** The names of the mails; empty if the folder does not exist yet. */
async function mailsIn(outbox: string): Promise<readonly string[]> {
  const names = await readdir(outbox).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => name.endsWith(EXTENSION));
}

/** Removes the mails of earlier demo data, which would be misleading. */
async function emptyOutbox(outbox: string): Promise<void> {
  for (const name of await mailsIn(outbox)) await rm(join(outbox, name));
}
