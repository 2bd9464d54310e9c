/** Summary of samples, in milliseconds unless it is a ratio or a rate. */
export interface Figure {
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

/** Runs every piece once per round, and rotates the order, so that no position has an advantage. */
export async function interleave(rounds: number, pieces: readonly ((round: number) => Promise<void>)[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < pieces.length; turn++) await at(pieces, (round + turn) % pieces.length)(round);
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
  if (item === undefined) throw new Error(`there is nothing at ${index} of ${items.length}`);
  return item;
}
