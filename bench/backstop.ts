import { type LoadedDatabase, loadDatabase } from "./data.ts";
import { measureIdleRun, printIdleRun } from "./idle-run.ts";
import { at, figureOf, ratioOf } from "./measure.ts";
import { measureNothingToDo, type NothingToDo, PLAIN_JOIN } from "./nothing-to-do.ts";
import { measureOrphans, type OrphansMeasured } from "./orphans.ts";
import { count, judge, print, printTable, progress, told } from "./print.ts";
import { FOLDER, JUDGED_AT, printMachine, SERVER_LOG, withBenchServer } from "./server.ts";
import { planOf } from "./statements.ts";

/** Measures the backstop with nothing to do and with 10,000 instances to complete. */
export async function benchBackstop(options: { instances: number; keep: boolean }): Promise<boolean> {
  return await withBenchServer({ keep: options.keep }, (url) => measureAll(url, options.instances));
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
