import pg from "pg";
import type { LoadedDatabase } from "../database.ts";
import { count, millisecondsOf, progress, runRounds } from "../figures.ts";
import { sendAtCeiling } from "./ceiling.ts";
import { startDelayingProxy } from "./delaying-proxy.ts";
import { checkSent, makeDue } from "./due.ts";
import { openEngine, runOver, shippedSettings } from "./follow-ups.ts";

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
  await runRounds(
    rounds + 1,
    names.map((name) => async (round: number) => {
      const milliseconds = await turnOf(contestants[name], round === 0 ? "Warm-up" : `Round ${round} of ${rounds}`);
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
    `${when}, ${contestant.name}: ${count(contestant.rows)} in ${milliseconds.toFixed(0)} ms, ${rate} per second`,
  );
  return milliseconds;
}

/** Per second. */
export const ratesOf = ({ rows }: Contestant, times: readonly number[]): readonly number[] =>
  times.map((milliseconds) => (rows * 1_000) / milliseconds);

/** The engine: one run that sends everything due. */
export function engine(database: LoadedDatabase, due: number, url = database.url): Contestant {
  const opened = openEngine(url);
  return {
    name: `engine, ${count(due)} of ${count(database.instances)} due`,
    rows: due,
    prepare: () => makeDue(database, due),
    run: () => runOver(opened, due),
    check: () => checkSent(database, due),
    close: () => opened.close(),
  };
}

/** The engine with a delayed database connection. `roundTrips` are measured, in milliseconds. */
export async function distantEngine(database: LoadedDatabase, due: number, roundTripMs: number) {
  const proxy = await startDelayingProxy(database.url, roundTripMs);
  const inner = engine(database, due, proxy.url);
  const contestant: Contestant = {
    ...inner,
    name: `engine, ${roundTripMs} ms round trip to the database`,
    async close() {
      await inner.close();
      await proxy.close();
    },
  };
  return { contestant, roundTrips: await roundTripsTo(proxy.url) };
}

/** The engine while another session holds an older snapshot, like a backup or a report. */
export function engineWithSnapshot(database: LoadedDatabase, due: number): Contestant {
  const inner = engine(database, due);
  let session: pg.Client | undefined;
  return {
    ...inner,
    name: "engine, with an old snapshot open",
    async prepare() {
      await inner.prepare();
      session = new pg.Client({ connectionString: database.url });
      await session.connect();
      await session.query("begin isolation level repeatable read");
      await session.query("select count(*) from workspace");
    },
    async check() {
      await session?.end();
      await inner.check();
    },
  };
}

/** The ceiling, with the engine's default batch size. */
export function ceiling(database: LoadedDatabase, due: number, connections: number): Contestant {
  const { batchSize } = shippedSettings(database.url);
  return {
    name: `ceiling, ${connections === 1 ? "1 connection" : `${connections} connections`}`,
    rows: due,
    prepare: () => makeDue(database, due),
    run: () => sendAtCeiling(database, { connections, batchSize }),
    check: () => checkSent(database, due),
    close: async () => undefined,
  };
}

async function roundTripsTo(url: string): Promise<number[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const times: number[] = [];
  for (let trip = 0; trip < 50; trip++) times.push(await millisecondsOf(() => client.query("select 1")));
  await client.end();
  return times;
}
