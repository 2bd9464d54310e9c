import { cpus } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { discardLocalDatabase, LOCAL_FOLDER, withDatabase } from "../cli/local-database.ts";
import { type LoadedDatabase, loadDatabase } from "./data.ts";
import { type IdleRun, measureIdleRun } from "./idle-run.ts";
import { at, figureOf, ratioOf } from "./measure.ts";
import { measureNothingToDo, type NothingToDo, PLAIN_JOIN } from "./nothing-to-do.ts";
import { measureOrphans, type OrphansMeasured } from "./orphans.ts";
import { count, judge, print, printTable, progress, told } from "./print.ts";
import { planOf } from "./statements.ts";

const FOLDER = join(LOCAL_FOLDER, "bench");
const SERVER_LOG = join(FOLDER, "postgres", "server.log");
const JUDGED_AT = 1_000_000;

/** Measures what the backstop costs with nothing to do and with 10,000 instances to complete. */
export async function benchBackstop(options: { instances: number; keep: boolean }): Promise<boolean> {
  // Never that of DATABASE_URL: this loads a million rows.
  const own = { databaseUrl: "", folder: FOLDER, onProgress: progress };
  try {
    return await withDatabase((url) => measureAll(url, options.instances), own);
  } finally {
    if (!options.keep) await discardLocalDatabase(own);
  }
}

async function measureAll(serverUrl: string, instances: number): Promise<boolean> {
  const databases: LoadedDatabase[] = [];
  try {
    for (const size of [instances / 100, instances / 10, instances]) {
      databases.push(await loadDatabase(serverUrl, Math.round(size)));
    }
    return await measureOn(databases, at(databases, 2));
  } finally {
    for (const database of databases) await database.close();
  }
}

async function measureOn(databases: readonly LoadedDatabase[], largest: LoadedDatabase): Promise<boolean> {
  await printMachine(largest);
  progress("nothing to do");
  const nothing = await measureNothingToDo(databases);
  const atLargest = at(nothing, 2);
  printNothingToDo(nothing);
  print(`\nThe backstop's statement at ${count(largest.instances)} instances:\n`);
  print(await planOf(largest, atLargest.lookStatement));
  print("\nThe plain join:\n");
  print(await planOf(largest, PLAIN_JOIN));

  progress("whole runs with nothing to do");
  const idle = await measureIdleRun(largest, SERVER_LOG, FOLDER);
  printIdleRun(idle);

  const orphans = await measureOrphans(largest);
  printOrphans(orphans);
  return verdict(nothing, atLargest, orphans);
}

const SETTINGS = ["fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size", "work_mem"];

async function printMachine({ pool }: LoadedDatabase): Promise<void> {
  const { rows } = await pool.query(
    "select string_agg(name || ' ' || current_setting(name), ', ') as settings, split_part(version(), ' on ', 1) as version from pg_settings where name = any($1)",
    [SETTINGS],
  );
  const { settings, version } = z.object({ settings: z.string(), version: z.string() }).parse(rows[0]);
  print(`${version} as shipped (${settings}), Node ${process.version}, ${cpus().length} cores`);
  print("Milliseconds: the median, and in brackets the range.\n");
}

function printNothingToDo(nothing: readonly NothingToDo[]): void {
  print("NOTHING TO DO");
  printTable(
    ["instances", "backstop, wall", "plain join, wall", "times", "backstop, database", "plain join, database", "times"],
    nothing.map(({ instances, backstop, join: plain }) => [
      count(instances),
      ...[told(figureOf(backstop.wall)), told(figureOf(plain.wall)), told(ratioOf(plain.wall, backstop.wall))],
      ...[
        told(figureOf(backstop.database)),
        told(figureOf(plain.database)),
        told(ratioOf(plain.database, backstop.database)),
      ],
    ]),
  );
  print(
    "Wall: the whole function, all its statements, through Prisma. Database: what the server says of the statement that looks for work.",
  );
}

function printIdleRun({ firstOfDay, wall, database, dearest }: IdleRun): void {
  print("\nA WHOLE RUN WITH NOTHING TO DO");
  print(
    `wall ${told(figureOf(wall))}, database ${told(figureOf(database))}, all its statements together, of which most:`,
  );
  for (const { milliseconds, text } of dearest) print(`  ${milliseconds.toFixed(2)}  ${text.slice(0, 120)}`);
  print(`the first run of a day, which compares all instances with the definition of booked: ${firstOfDay.toFixed(0)}`);
}

function printOrphans({ orphans, backstop, byHand, booking, plainBooking }: OrphansMeasured): void {
  print(`\nCOMPLETING ${count(orphans)} ORPHANS`);
  printTable(
    ["", "milliseconds", "times"],
    [
      ["one hand-written UPDATE by id", told(figureOf(byHand)), ""],
      ["backstop", told(figureOf(backstop)), told(ratioOf(backstop, byHand))],
      [`booking ${count(orphans)} leads, no marker, no triggers`, told(figureOf(plainBooking)), ""],
      [`booking ${count(orphans)} leads`, told(figureOf(booking)), told(ratioOf(booking, plainBooking))],
    ],
  );
  print(
    "The hand-written statement is given the ids. It finds nothing, cancels no touch, counts nothing by workspace,",
  );
  print("does not measure how long each booking waited, and waits for rows that somebody else holds.\n");
}

function verdict(nothing: readonly NothingToDo[], largest: NothingToDo, orphans: OrphansMeasured): boolean {
  if (largest.instances !== JUDGED_AT) {
    print(`not judged: the targets are those of ${count(JUDGED_AT)} instances`);
    return true;
  }
  const smallest = at(nothing, 0);
  return judge([
    {
      what: "nothing to do, times faster than the plain join, database",
      measured: ratioOf(largest.join.database, largest.backstop.database).median,
      atLeast: 100,
    },
    {
      what: "nothing to do, times faster than the plain join, wall",
      measured: ratioOf(largest.join.wall, largest.backstop.wall).median,
      atLeast: 100,
    },
    {
      what: `nothing to do, ${count(largest.instances)} instances against ${count(smallest.instances)}, wall`,
      measured: ratioOf(largest.backstop.wall, smallest.backstop.wall).median,
      atMost: 1.5,
    },
    {
      what: "completing orphans, times the hand-written UPDATE",
      measured: ratioOf(orphans.backstop, orphans.byHand).median,
      atMost: 1.5,
    },
  ]);
}
