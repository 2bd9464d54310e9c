import { interleave, millisecondsOf } from "../measure.ts";
import { count, progress } from "../print.ts";

/** One implementation of the measured work. */
export interface Contestant {
  readonly name: string;
  /** Rows or steps per turn. */
  readonly rows: number;
  /** Runs before each turn, not timed, and restores the same state. */
  prepare(): Promise<void>;
  /** Timed. */
  run(): Promise<void>;
  /** Runs after each turn, not timed. Throws if the work was not done. */
  check(): Promise<void>;
  /** Runs after the last turn. */
  close(): Promise<void>;
}

/** Milliseconds per contestant and round, after an uncounted warm-up round. */
export async function measureContestants<Name extends string>(
  rounds: number,
  contestants: Readonly<Record<Name, Contestant>>,
): Promise<Readonly<Record<Name, readonly number[]>>> {
  const names = Object.keys(contestants) as Name[];
  const times = Object.fromEntries(names.map((name): [Name, number[]] => [name, []])) as Record<Name, number[]>;
  await interleave(
    rounds + 1,
    names.map((name) => async (round: number) => {
      const milliseconds = await turnOf(contestants[name], round === 0 ? "warm-up" : `round ${round} of ${rounds}`);
      if (round > 0) times[name].push(milliseconds);
    }),
  );
  return times;
}

async function turnOf(contestant: Contestant, when: string): Promise<number> {
  await contestant.prepare();
  const milliseconds = await millisecondsOf(() => contestant.run());
  await contestant.check();
  const rate = count(Math.round((contestant.rows * 1_000) / milliseconds));
  progress(
    `${when}: ${contestant.name}: ${count(contestant.rows)} in ${milliseconds.toFixed(0)} ms, ${rate} per second`,
  );
  return milliseconds;
}

/** Per second. */
export const ratesOf = ({ rows }: Contestant, times: readonly number[]): readonly number[] =>
  times.map((milliseconds) => (rows * 1_000) / milliseconds);
