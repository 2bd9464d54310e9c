import pg from "pg";
import * as z from "zod";
import { MESSAGE, makeDatabase } from "../data.ts";

/** A step of a drip campaign, as a job of a peer carries it. */
export interface Drip {
  readonly id: number;
  readonly step: number;
}

/** A database for one peer, with the log of what it sent. */
export interface DripDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  /** Forgets what was sent. */
  empty(): Promise<void>;
  /** Throws unless so many first steps were sent. */
  checkLogged(steps: number): Promise<void>;
}

export async function makeDripDatabase(serverUrl: string, name: string): Promise<DripDatabase> {
  const url = await makeDatabase(serverUrl, name);
  const pool = new pg.Pool({ connectionString: url, allowExitOnIdle: true });
  await pool.query(`
    create table sent_drip (
      id integer, step integer, subject text not null, body text not null, sent_at timestamptz not null default now(),
      primary key (id, step))`);
  return {
    url,
    pool,
    empty: async () => void (await pool.query("truncate sent_drip")),
    checkLogged: async (steps) => {
      const { rows } = await pool.query("select count(*)::int as count from sent_drip where step = 1");
      const [{ count }] = z.tuple([z.object({ count: z.int() })]).parse(rows);
      if (count !== steps) throw new Error(`${steps} steps were to be logged, ${count} were`);
    },
  };
}

/** The first steps that are due. */
export const firstDrips = (count: number): readonly Drip[] =>
  Array.from({ length: count }, (_, index) => ({ id: index + 1, step: 1 }));

/** As many to one that is due as with the engine. */
const WAITING_TO_ONE_DUE = 9;

/** The first steps of others, which are due some day later, in portions. */
export function* waitingDrips(due: number, portion: number): Generator<{ drips: readonly Drip[]; dueAt: Date }> {
  const all = due * WAITING_TO_ONE_DUE;
  for (let first = 0; first < all; first += portion) {
    const length = Math.min(portion, all - first);
    const drips = Array.from({ length }, (_, index) => ({ id: due + first + index + 1, step: 1 }));
    yield { drips, dueAt: new Date(tomorrow().getTime() + (first / all) * 14 * DAY_MS) };
  }
}

export const nextDrip = ({ id, step }: Drip): Drip => ({ id, step: step + 1 });

const DAY_MS = 24 * 60 * 60_000;
export const tomorrow = (): Date => new Date(Date.now() + DAY_MS);

/** Arguments for a query that logs steps as sent, all in one statement. A step that is logged already stays as it is. */
export const logSent = (drips: readonly Drip[]): [text: string, values: unknown[]] => [
  `insert into sent_drip (id, step, subject, body)
   select id, step, $3, $4 from unnest($1::integer[], $2::integer[]) as drip (id, step)
       on conflict (id, step) do nothing`,
  [drips.map(({ id }) => id), drips.map(({ step }) => step), MESSAGE.subject, MESSAGE.body],
];
