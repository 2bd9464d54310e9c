import type { IdleRun } from "../idle-run.ts";
import { figureOf, ratioOf } from "../measure.ts";
import { count, judge, print, printTable, type Target, told } from "../print.ts";
import { JUDGED_AT } from "../server.ts";
import { type Contestant, ratesOf } from "./contestant.ts";
import type { MemoryMeasured } from "./memory.ts";

type Name =
  | "engine"
  | "ceiling"
  | "ceilingOnTwo"
  | "graphileWorker"
  | "graphileWorkerGathered"
  | "pgBoss"
  | "farAway"
  | "besideSnapshot"
  | "tenthDue"
  | "hundredthDue"
  | "tenthExisting";

export interface EngineMeasured {
  readonly instances: number;
  readonly idle: IdleRun;
  readonly contestants: Readonly<Record<Name, Contestant>>;
  /** Milliseconds per round. */
  readonly times: Readonly<Record<Name, readonly number[]>>;
  /** Milliseconds per no-op statement. */
  readonly roundTrips: readonly number[];
  /** Per second. */
  readonly decisions: readonly number[];
  readonly memory: MemoryMeasured;
}

export function printEngine(measured: EngineMeasured): void {
  printRates(measured);
  printGrowth(measured);
  print("\nDECIDING ALONE");
  print(`${told(figureOf(measured.decisions))} decisions per second`);
  printMemory(measured);
}

const RATED = [
  "engine",
  "ceiling",
  "ceilingOnTwo",
  "graphileWorker",
  "graphileWorkerGathered",
  "pgBoss",
  "farAway",
  "besideSnapshot",
] as const;

function printRates({ contestants, times, roundTrips }: EngineMeasured): void {
  print("\nSENDING WHAT IS DUE");
  const engine = ratesOf(contestants.engine, times.engine);
  printTable(
    ["", "rows or steps per second", "the engine's rate, times this"],
    RATED.map((name) => {
      const rates = ratesOf(contestants[name], times[name]);
      return [contestants[name].name, told(figureOf(rates)), name === "engine" ? "" : told(ratioOf(engine, rates))];
    }),
  );
  print(`The delayed round trip, measured with statements that do nothing: ${told(figureOf(roundTrips))} ms`);
}

function printGrowth({ contestants, times }: EngineMeasured): void {
  print("\nHOW THE TIME OF A RUN GROWS");
  printTable(
    ["", "milliseconds", "microseconds a row"],
    (["hundredthDue", "tenthDue", "engine", "tenthExisting"] as const).map((name) => [
      contestants[name].name,
      told(figureOf(times[name])),
      told(figureOf(times[name].map((milliseconds) => (milliseconds * 1_000) / contestants[name].rows))),
    ]),
  );
}

const MEGABYTE = 1_024 * 1_024;
const megabytes = (bytes: number) => (bytes / MEGABYTE).toFixed(0);

function printMemory({ instances, memory: { atStart, peaks, peak, sent } }: EngineMeasured): void {
  print(`\nMEMORY WHILE ALL ${count(instances)} INSTANCES ARE DUE`);
  print(`resident at most ${megabytes(peak)} MB, ${megabytes(peak - atStart)} more than before the first run;`);
  print(`in the runs one after another ${peaks.map(megabytes).join(", ")} MB; ${count(sent)} were sent meanwhile\n`);
}

/** Prints a verdict per target. Returns true if all targets are met. */
export function verdictOnEngine(measured: EngineMeasured): boolean {
  if (measured.instances !== JUDGED_AT) {
    print(`not judged: the targets are those of ${count(JUDGED_AT)} instances`);
    return true;
  }
  return judge([...speedTargets(measured), ...growthTargets(measured), ...costTargets(measured)]);
}

function speedTargets({ contestants, times }: EngineMeasured): Target[] {
  const rates = (name: Name) => ratesOf(contestants[name], times[name]);
  const share = (name: Name, of: Name) => ratioOf(rates(name), rates(of)).median;
  return [
    { what: "the engine, share of the ceiling on one connection", measured: share("engine", "ceiling"), atLeast: 0.7 },
    { what: "the engine, times graphile-worker", measured: share("engine", "graphileWorker"), atLeast: 1 },
    { what: "the engine, times pg-boss", measured: share("engine", "pgBoss"), atLeast: 1 },
    { what: "far from its database, share of undisturbed", measured: share("farAway", "engine"), atLeast: 0.7 },
    { what: "beside a snapshot, share of undisturbed", measured: share("besideSnapshot", "engine"), atLeast: 0.7 },
  ];
}

/** Allowed growth: caches hold a smaller share of a larger table. */
const GROWTH = 1.25;

function growthTargets({ contestants, times }: EngineMeasured): Target[] {
  const perRow = (name: Name) => times[name].map((milliseconds) => milliseconds / contestants[name].rows);
  const growth = (to: Name, from: Name) => ratioOf(perRow(to), perRow(from)).median;
  return [
    { what: "time a row, all due against a tenth", measured: growth("engine", "tenthDue"), atMost: GROWTH },
    { what: "time a row, all due against a hundredth", measured: growth("engine", "hundredthDue"), atMost: GROWTH },
    { what: "time, all existing against a tenth", measured: growth("tenthDue", "tenthExisting"), atMost: GROWTH },
  ];
}

function costTargets({ idle, memory: { peak, peaks } }: EngineMeasured): Target[] {
  const [, second = Number.NaN] = peaks;
  return [
    { what: "database time of an idle run, ms", measured: figureOf(idle.database).median, atMost: 5 },
    { what: "memory, peak in MB", measured: peak / MEGABYTE, atMost: 256 },
    { what: "memory, last run against the second", measured: (peaks.at(-1) ?? Number.NaN) / second, atMost: 1.1 },
  ];
}
