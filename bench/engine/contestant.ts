import { interleave, millisecondsOf } from "../measure.ts";
import { count, progress } from "../print.ts";

/** One way to do a piece of work. */
export interface Contestant {
  readonly name: string;
  /** Rows, or steps, that one turn takes through. */
  readonly rows: number;
  /** Before each turn, not timed: every turn begins alike. */
  prepare(): Promise<void>;
  /** Timed. */
  run(): Promise<void>;
  /** After each turn, not timed: throws where the work was not done. */
  check(): Promise<void>;
  /** After the last turn. */
  close(): Promise<void>;
}

/** Milliseconds of each contestant, round by round. A round before the first is not counted: it warms everything up. */
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
