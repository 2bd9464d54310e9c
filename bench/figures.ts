import Table from "cli-table3";

/** Summary of samples, in milliseconds unless it is a ratio or a rate. */
interface Figure {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function figureOf(samples: readonly number[]): Figure {
  const sorted = samples.toSorted((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(sorted, Math.floor(middle)) + at(sorted, Math.ceil(middle))) / 2,
    least: at(sorted, 0),
    most: at(sorted, sorted.length - 1),
  };
}

/** Ratio per round, so that a disturbance of both cancels out. */
export const ratioOf = (numerators: readonly number[], denominators: readonly number[]): Figure =>
  figureOf(numerators.map((numerator, round) => numerator / at(denominators, round)));

/** Runs each task once per round. Rotates the order, so that no position has an advantage. */
export async function runRounds(rounds: number, tasks: readonly ((round: number) => Promise<void>)[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < tasks.length; turn++) await at(tasks, (round + turn) % tasks.length)(round);
  }
}

export async function millisecondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** The item at an index. Throws if there is none. */
export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new Error(`no item ${index} among ${items.length}`);
  return item;
}

export const print = (text = ""): boolean => process.stdout.write(`${text}\n`);
export const progress = (text: string): boolean => process.stderr.write(`${text}\n`);

export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, column) => (column === 0 ? "left" : "right")),
  });
  table.push(...rows.map((row) => [...row]));
  print(table.toString());
}

export const count = (number: number): string => number.toLocaleString("en-US");

/** `12.3 (11.8–14.0)` */
export const formatFigure = ({ median, least, most }: Figure): string =>
  `${short(median)} (${short(least)}–${short(most)})`;

const short = (number: number): string => number.toFixed(number >= 100 ? 0 : number >= 10 ? 1 : 2);

export interface Target {
  readonly what: string;
  readonly measured: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Prints a line per target. Returns true if all targets are met. */
export function checkTargets(targets: readonly Target[]): boolean {
  const met = ({ measured, atLeast = -Infinity, atMost = Infinity }: Target) =>
    measured >= atLeast && measured <= atMost;
  for (const target of targets) {
    const limit = target.atLeast === undefined ? `at most ${target.atMost}` : `at least ${target.atLeast}`;
    print(`${met(target) ? "met   " : "MISSED"}  ${target.what}: ${short(target.measured)} (target: ${limit})`);
  }
  return targets.every(met);
}
