import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { wire } from "../lib/platform/wire.ts";
import { runFollowUps } from "../lib/run/run.ts";
import type { LoadedDatabase } from "./database.ts";
import { figureOf, formatFigure, millisecondsOf, print } from "./figures.ts";

const ROUNDS = 15;

export interface IdleRun {
  /** Wall time of the first run of a day, which also compares all instances with the definition of booked. */
  readonly firstOfDay: number;
  readonly wall: number[];
  /** The server's total time for all statements of a run, from parsing to the last row. */
  readonly database: number[];
  /** The slowest statements. */
  readonly slowest: readonly ServerTime[];
}

/** Whole runs with nothing to do, as in an invocation. The time per statement comes from the server's log. */
export async function measureIdleRun({ url }: LoadedDatabase, serverLog: string, folder: string): Promise<IdleRun> {
  const logged = new URL(url);
  logged.searchParams.set("options", "-c log_min_duration_statement=0 -c log_parameter_max_length=0");
  const environment = { DATABASE_URL: logged.href, EMAIL_TRANSPORT: "files", OUTBOX_DIRECTORY: join(folder, "outbox") };
  const config = loadConfig(environment);
  const ports = wire(config, { info: () => undefined, error: () => undefined });
  const run = async () => {
    const invocation = { requestId: "bench", remainingMs: () => 60_000 };
    const report = await runFollowUps({}, invocation, ports, runSettings(config));
    if (!report.success || report.results?.due !== 0)
      throw new Error(`the run was not idle: ${JSON.stringify(report)}`);
  };
  try {
    const firstOfDay = await millisecondsOf(run);
    await run();
    const wall: number[] = [];
    const runs: ServerTime[][] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = (await readFile(serverLog)).length;
      wall.push(await millisecondsOf(run));
      runs.push(serverTimes((await readFile(serverLog)).subarray(before).toString()));
    }
    return { firstOfDay, wall, database: runs.map(sum), slowest: slowestOf(runs) };
  } finally {
    await ports.database.close();
  }
}

export function printIdleRun({ firstOfDay, wall, database, slowest }: IdleRun): void {
  print("\nWHOLE RUN WITH NOTHING TO DO");
  print(
    `wall ${formatFigure(figureOf(wall))}, database ${formatFigure(figureOf(database))} for all statements; the slowest:`,
  );
  for (const { milliseconds, text } of slowest) print(`  ${milliseconds.toFixed(2)}  ${text.slice(0, 120)}`);
  print(`first run of a day, which compares all instances with the definition of booked: ${firstOfDay.toFixed(0)}`);
}

interface ServerTime {
  readonly text: string;
  readonly milliseconds: number;
}

/** PostgreSQL logs parse, bind and execute separately. Continuation lines of a statement start with a tab. */
function serverTimes(log: string): ServerTime[] {
  const lines = log.matchAll(/duration: ([\d.]+) ms {2}(?:statement|(?:parse|bind|execute) [^:]+): (.*(?:\n\t.*)*)/g);
  return [...lines].map(([, milliseconds, text = ""]) => ({
    text: text.replace(/\s+/g, " ").trim(),
    milliseconds: Number(milliseconds),
  }));
}

const sum = (times: readonly ServerTime[]) => times.reduce((total, { milliseconds }) => total + milliseconds, 0);

function slowestOf(runs: readonly (readonly ServerTime[])[]): readonly ServerTime[] {
  const byText = Map.groupBy(runs.flat(), ({ text }) => text);
  const totals = [...byText].map(([text, times]) => ({ text, milliseconds: sum(times) / runs.length }));
  if (totals.length === 0) throw new Error("the server's log has no statements of the runs");
  return totals.toSorted((one, other) => other.milliseconds - one.milliseconds).slice(0, 5);
}
