import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import type { Report } from "../../lib/run/report.ts";
import { type Database, openDatabase } from "../../lib/store/connect.ts";
import { clearDemo, contentsOf, loadDemo } from "../../prisma/demo/load-demo.ts";
import { bookByEvent, withReceiver } from "../demo.ts";
import { discardLocalDatabase, LOCAL_FOLDER, withDatabase } from "../postgres/local-database.ts";
import { fileProblem, Problem } from "../problem.ts";
import { runSummary } from "../run-summary.ts";
import { Spinner } from "../terminal.ts";
import { invokeFollowUps } from "./invoke.ts";
import { migrateDatabase } from "./migrate.ts";

const EVENT = fileURLToPath(new URL("../../events/scheduled.json", import.meta.url));
const DEFAULT_LEADS = 3_000;
const DEFAULT_SEED = 1;

const LESSON = `
What it does: opens the local database (a PostgreSQL of its own, in .local/postgres), applies the migrations, loads demo data
where there is none, lets a lead book by an event, invokes functions/followups.ts with events/scheduled.json, and tells what the run did. Mails land in
.local/outbox, the report in .local/report.json; webhooks go to a receiver on this machine that is busy now and then. Doing it again goes on with the same data.

With DATABASE_URL set it works on that database instead, and only where every workspace and lead in it came with the demo
data: anything else it refuses to touch. So --fresh, too, never removes anything but demo data there.

Examples:
  $ npm start
  $ npm start -- --fresh --leads 100000
  $ npm start -- --fresh --seed 7`;

interface Choice {
  readonly fresh?: true;
  readonly leads?: number;
  readonly seed?: number;
  readonly folder: string;
}

/** The command `start`. Throws errors as Problem; a failed run sets the exit code. */
export function startCommand(): Command {
  return new Command("start")
    .summary("load demo data, invoke the function once, and tell what it did")
    .description("Loads demo data where there is none, invokes the function as AWS does, and tells what the run did.")
    .option("--fresh", "start over: remove the demo data and load it again")
    .option("--leads <count>", `how many leads to load (default: ${DEFAULT_LEADS})`, integer(10, 10_000_000))
    .option("--seed <number>", `another seed gives other data (default: ${DEFAULT_SEED})`, integer(0, 1_000_000))
    .option("--folder <path>", "where the local database, mails and report lie", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async ({ folder, ...choice }: Choice) => {
      const report = await start({ ...choice, folder: resolve(folder) });
      process.exitCode = report.success ? 0 : 1;
    });
}

function integer(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
  };
}

async function start(choice: Choice): Promise<Report> {
  const spinner = new Spinner();
  const onProgress = (line: string) => spinner.tell(line);
  const { folder } = choice;
  try {
    if (choice.fresh && !process.env["DATABASE_URL"]) await discardLocalDatabase({ folder, onProgress });
    return await withDatabase((url) => startOn(url, choice, spinner), { folder, onProgress });
  } catch (error) {
    throw fileProblem(error, folder) ?? error;
  } finally {
    spinner.stop();
  }
}

async function startOn(url: string, choice: Choice, spinner: Spinner): Promise<Report> {
  const outbox = join(choice.folder, "outbox");
  const database = openDatabase({ connectionString: url });
  const { data, booking } = await prepared(database, url, choice, spinner).finally(() => database.close());
  if (data === "loaded") await emptyOutbox(outbox);
  const before = new Set(await mailsIn(outbox));
  const report = await invokeScheduled(url, outbox, spinner);
  const mails = await mailsIn(outbox);
  const reportFile = join(choice.folder, "report.json");
  await mkdir(choice.folder, { recursive: true });
  await writeFile(reportFile, `${JSON.stringify(report, null, 2)}\n`);
  spinner.stop();
  const newMails = mails.filter((name) => !before.has(name));
  process.stdout.write(runSummary(report, { data, booking, outbox, mails: mails.length, newMails, reportFile }));
  return report;
}

/** Prepares demo data and books one lead by event. Bookings typed into the database are left for the run to find. */
async function prepared(database: Database, url: string, choice: Choice, spinner: Spinner) {
  const data = await prepare(database, url, choice, spinner);
  return { data, booking: await bookByEvent(database) };
}

/** Migrates the database and loads demo data. Throws a Problem before it changes anything. */
async function prepare(database: Database, url: string, choice: Choice, spinner: Spinner): Promise<"loaded" | "kept"> {
  const contents = await contentsOf(database);
  if (contents === "other" && process.env["DATABASE_URL"]) throw notDemoProblem();
  if (contents !== "nothing" && !choice.fresh && (choice.leads ?? choice.seed) !== undefined)
    throw dataIsThereProblem();
  await migrateDatabase(url, { onProgress: (line) => spinner.tell(line) });
  if (contents !== "nothing" && !choice.fresh) return "kept";
  if (contents !== "nothing") await clearDemo(database);
  const { leads = DEFAULT_LEADS, seed = DEFAULT_SEED } = choice;
  await loadDemo(database, { leads, seed }, ({ what, done }) => {
    const detail = done > 0 ? `, ${number(done)} done` : "";
    spinner.tell(`Loading demo data of ${number(leads)} leads: ${what}`, detail);
  });
  return "loaded";
}

const number = (count: number): string => count.toLocaleString("en");

const notDemoProblem = () =>
  new Problem(
    "the database holds more than demo data, so nothing was changed: unset DATABASE_URL, or use `npm run backstop -- invoke`",
  );
const dataIsThereProblem = () =>
  new Problem("the demo data is loaded already, and --leads and --seed are for loading it: add --fresh to start over");

async function invokeScheduled(databaseUrl: string, outbox: string, spinner: Spinner): Promise<Report> {
  const event: unknown = JSON.parse(await readFile(EVENT, "utf8"));
  // Overrides the environment: demo leads are reached only through files and a receiver on this machine.
  process.env["EMAIL_TRANSPORT"] = "files";
  const startedMs = performance.now();
  const tell = () => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    spinner.tell("Invoking functions/followups.ts with events/scheduled.json", seconds > 0 ? `, ${seconds} s` : "");
  };
  tell();
  const timer = setInterval(tell, 1_000);
  try {
    return await withReceiver((environment) => {
      Object.assign(process.env, environment);
      return invokeFollowUps(event, { databaseUrl, outbox });
    });
  } finally {
    clearInterval(timer);
  }
}

/** The names of the mails; empty if the folder does not exist yet. */
async function mailsIn(outbox: string): Promise<readonly string[]> {
  const names = await readdir(outbox).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => name.endsWith(".eml"));
}

/** Removes the mails of earlier demo data, which would be misleading. */
async function emptyOutbox(outbox: string): Promise<void> {
  for (const name of await mailsIn(outbox)) await rm(join(outbox, name));
}
