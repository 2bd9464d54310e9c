import { TARGET_INSTANCES } from "../database.ts";
import { checkTargets, count, figureOf, formatFigure, print, printTable, ratioOf, type Target } from "../figures.ts";
import type { IdleRun } from "../idle-run.ts";
import { type Contestant, ratesOf } from "./contestants.ts";
import type { MemoryMeasured } from "./memory.ts";

type Name =
  | "engine"
  | "ceiling"
  | "ceilingOnTwo"
  | "graphileWorker"
  | "graphileWorkerBatched"
  | "pgBoss"
  | "distant"
  | "withSnapshot"
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
  print("\nDECISIONS ONLY");
  print(`${formatFigure(figureOf(measured.decisions))} decisions per second`);
  printMemory(measured);
}

const RATED = [
  "engine",
  "ceiling",
  "ceilingOnTwo",
  "graphileWorker",
  "graphileWorkerBatched",
  "pgBoss",
  "distant",
  "withSnapshot",
] as const;

function printRates({ contestants, times, roundTrips }: EngineMeasured): void {
  print("\nSENDING DUE STEPS");
  const engine = ratesOf(contestants.engine, times.engine);
  printTable(
    ["", "steps per second", "engine / this"],
    RATED.map((name) => {
      const rates = ratesOf(contestants[name], times[name]);
      return [
        contestants[name].name,
        formatFigure(figureOf(rates)),
        name === "engine" ? "" : formatFigure(ratioOf(engine, rates)),
      ];
    }),
  );
  print(`Measured round trip with the delay: ${formatFigure(figureOf(roundTrips))} ms`);
}

function printGrowth({ contestants, times }: EngineMeasured): void {
  print("\nRUN TIME BY NUMBER OF DUE STEPS");
  printTable(
    ["", "milliseconds", "microseconds per step"],
    (["hundredthDue", "tenthDue", "engine", "tenthExisting"] as const).map((name) => [
      contestants[name].name,
      formatFigure(figureOf(times[name])),
      formatFigure(figureOf(times[name].map((milliseconds) => (milliseconds * 1_000) / contestants[name].rows))),
    ]),
  );
}

const MEGABYTE = 1_024 * 1_024;
const megabytes = (bytes: number) => (bytes / MEGABYTE).toFixed(0);

function printMemory({ instances, memory: { atStart, peaks, peak, sent } }: EngineMeasured): void {
  print(`\nMEMORY WITH ALL ${count(instances)} INSTANCES DUE`);
  print(`peak resident memory ${megabytes(peak)} MB, ${megabytes(peak - atStart)} MB above the start`);
  print(`peak per run ${peaks.map(megabytes).join(", ")} MB, ${count(sent)} touches sent\n`);
}

/** Prints a line per target. Returns true if all targets are met. */
export function checkEngineTargets(measured: EngineMeasured): boolean {
  if (measured.instances !== TARGET_INSTANCES) {
    print(`Targets not checked: they apply to ${count(TARGET_INSTANCES)} instances`);
    return true;
  }
  return checkTargets([...speedTargets(measured), ...growthTargets(measured), ...costTargets(measured)]);
}

function speedTargets({ contestants, times }: EngineMeasured): Target[] {
  const rates = (name: Name) => ratesOf(contestants[name], times[name]);
  const share = (name: Name, of: Name) => ratioOf(rates(name), rates(of)).median;
  return [
    { what: "engine / ceiling on 1 connection", measured: share("engine", "ceiling"), atLeast: 0.7 },
    { what: "engine / graphile-worker", measured: share("engine", "graphileWorker"), atLeast: 1 },
    { what: "engine / pg-boss", measured: share("engine", "pgBoss"), atLeast: 1 },
    { what: "engine with a distant database / undisturbed engine", measured: share("distant", "engine"), atLeast: 0.7 },
    {
      what: "engine with an old snapshot open / undisturbed engine",
      measured: share("withSnapshot", "engine"),
      atLeast: 0.7,
    },
  ];
}

/** Allowed growth: caches hold a smaller share of a larger table. */
const GROWTH = 1.25;

function growthTargets({ contestants, times }: EngineMeasured): Target[] {
  const perRow = (name: Name) => times[name].map((milliseconds) => milliseconds / contestants[name].rows);
  const growth = (to: Name, from: Name) => ratioOf(perRow(to), perRow(from)).median;
  return [
    { what: "time per step: all due / a tenth due", measured: growth("engine", "tenthDue"), atMost: GROWTH },
    { what: "time per step: all due / a hundredth due", measured: growth("engine", "hundredthDue"), atMost: GROWTH },
    {
      what: "time: all instances / a tenth of the instances",
      measured: growth("tenthDue", "tenthExisting"),
      atMost: GROWTH,
    },
  ];
}

function costTargets({ idle, memory: { peak, peaks } }: EngineMeasured): Target[] {
  const [, second = Number.NaN] = peaks;
  return [
    { what: "idle run: database time, ms", measured: figureOf(idle.database).median, atMost: 5 },
    { what: "peak memory, MB", measured: peak / MEGABYTE, atMost: 256 },
    { what: "memory: last run / second run", measured: (peaks.at(-1) ?? Number.NaN) / second, atMost: 1.1 },
  ];
}
