/** What was measured of one kind, in milliseconds unless it is a ratio. */
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

/** Round by round, so that what disturbed both at once does not count. */
export const ratioOf = (numerators: readonly number[], denominators: readonly number[]): Figure =>
  figureOf(numerators.map((numerator, round) => numerator / at(denominators, round)));

/** Does every piece of work once a round, and begins each round with another one, so that no place is the better one. */
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

/** The item at a place; there must be one. */
export function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index];
  if (item === undefined) throw new Error(`there is nothing at ${index} of ${items.length}`);
  return item;
}
