import Table from "cli-table3";
import type { Figure } from "./measure.ts";

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
export const told = ({ median, least, most }: Figure): string => `${short(median)} (${short(least)}–${short(most)})`;

const short = (number: number): string => number.toFixed(number >= 100 ? 0 : number >= 10 ? 1 : 2);

export interface Target {
  readonly what: string;
  readonly measured: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** Prints a verdict per target. Returns true if all targets are met. */
export function judge(targets: readonly Target[]): boolean {
  const met = ({ measured, atLeast = -Infinity, atMost = Infinity }: Target) =>
    measured >= atLeast && measured <= atMost;
  for (const target of targets) {
    const limit = target.atLeast === undefined ? `at most ${target.atMost}` : `at least ${target.atLeast}`;
    print(`${met(target) ? "met   " : "MISSED"}  ${target.what}: ${short(target.measured)}, ${limit} was promised`);
  }
  return targets.every(met);
}
