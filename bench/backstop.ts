import {
  FOLDER,
  type LoadedDatabase,
  loadDatabase,
  printMachine,
  SERVER_LOG,
  TARGET_INSTANCES,
  withBenchServer,
} from "./database.ts";
import { at, checkTargets, count, figureOf, formatFigure, print, printTable, progress, ratioOf } from "./figures.ts";
import { measureIdleRun, printIdleRun } from "./idle-run.ts";
import { measureNothingToDo, type NothingToDo, PLAIN_JOIN, planOf } from "./nothing-to-do.ts";
import { measureOrphans, type OrphansMeasured } from "./orphans.ts";

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
  progress("Backstop with nothing to do");
  const nothing = await measureNothingToDo(databases);
  const atLargest = at(nothing, 2);
  printNothingToDo(nothing);
  print(`\nPlan of the backstop's statement at ${count(largest.instances)} instances:\n`);
  print(await planOf(largest, atLargest.checkStatement));
  print("\nPlan of the plain join:\n");
  print(await planOf(largest, PLAIN_JOIN));

  progress("Whole runs with nothing to do");
  const idle = await measureIdleRun(largest, SERVER_LOG, FOLDER);
  printIdleRun(idle);

  const orphans = await measureOrphans(largest);
  printOrphans(orphans);
  return check(nothing, atLargest, orphans);
}

function printNothingToDo(nothing: readonly NothingToDo[]): void {
  print("BACKSTOP WITH NOTHING TO DO");
  printTable(
    ["instances", "backstop, wall", "plain join, wall", "ratio", "backstop, database", "plain join, database", "ratio"],
    nothing.map(({ instances, backstop, join }) => [
      count(instances),
      ...[
        formatFigure(figureOf(backstop.wall)),
        formatFigure(figureOf(join.wall)),
        formatFigure(ratioOf(join.wall, backstop.wall)),
      ],
      ...[
        formatFigure(figureOf(backstop.database)),
        formatFigure(figureOf(join.database)),
        formatFigure(ratioOf(join.database, backstop.database)),
      ],
    ]),
  );
  print(
    "Wall: the whole function, through Prisma. Database: the server's time for the statement that checks for work.",
  );
}

function printOrphans({ orphans, backstop, byHand, booking, plainBooking }: OrphansMeasured): void {
  print(`\nCOMPLETING ${count(orphans)} ORPHANS`);
  printTable(
    ["", "milliseconds", "ratio"],
    [
      ["hand-written UPDATE by id", formatFigure(figureOf(byHand)), ""],
      ["backstop", formatFigure(figureOf(backstop)), formatFigure(ratioOf(backstop, byHand))],
      [`booking ${count(orphans)} leads, without marker and triggers`, formatFigure(figureOf(plainBooking)), ""],
      [
        `booking ${count(orphans)} leads`,
        formatFigure(figureOf(booking)),
        formatFigure(ratioOf(booking, plainBooking)),
      ],
    ],
  );
  print("The hand-written statement receives the ids. It cancels no touch, counts nothing by workspace,");
  print("does not measure the delay after each booking, and waits for locked rows.\n");
}

/** Returns true if all targets are met. */
function check(nothing: readonly NothingToDo[], largest: NothingToDo, orphans: OrphansMeasured): boolean {
  if (largest.instances !== TARGET_INSTANCES) {
    print(`Targets not checked: they apply to ${count(TARGET_INSTANCES)} instances`);
    return true;
  }
  const smallest = at(nothing, 0);
  return checkTargets([
    {
      what: "nothing to do: plain join / backstop, database time",
      measured: ratioOf(largest.join.database, largest.backstop.database).median,
      atLeast: 100,
    },
    {
      what: "nothing to do: plain join / backstop, wall time",
      measured: ratioOf(largest.join.wall, largest.backstop.wall).median,
      atLeast: 100,
    },
    {
      what: `nothing to do: ${count(largest.instances)} / ${count(smallest.instances)} instances, wall time`,
      measured: ratioOf(largest.backstop.wall, smallest.backstop.wall).median,
      atMost: 1.5,
    },
    {
      what: "completing orphans: backstop / hand-written UPDATE",
      measured: ratioOf(orphans.backstop, orphans.byHand).median,
      atMost: 1.5,
    },
  ]);
}
