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

/** The first step of somebody, and when it is due; null: it is due already. */
export interface FirstDrip {
  readonly drip: Drip;
  readonly dueAt: Date | null;
}

/** Of so many first steps one is due, as with the engine. */
const ONE_IS_DUE_OF = 10;

/** The first steps of all who are in the campaign, in portions: those that are due lie spread among the others. */
export function* firstDrips(due: number, portion: number): Generator<readonly FirstDrip[]> {
  const all = due * ONE_IS_DUE_OF;
  for (let first = 0; first < all; first += portion) {
    yield Array.from({ length: Math.min(portion, all - first) }, (_, index) => {
      const id = first + index + 1;
      return { drip: { id, step: 1 }, dueAt: id % ONE_IS_DUE_OF === 0 ? null : inTheNextWeeks(id / all) };
    });
  }
}

export const nextDrip = ({ id, step }: Drip): Drip => ({ id, step: step + 1 });

const DAY_MS = 24 * 60 * 60_000;
export const tomorrow = (): Date => new Date(Date.now() + DAY_MS);
const inTheNextWeeks = (share: number): Date => new Date(tomorrow().getTime() + share * 14 * DAY_MS);

/** Arguments for a query that logs steps as sent, all in one statement. A step that is logged already stays as it is. */
export const logSent = (drips: readonly Drip[]): [text: string, values: unknown[]] => [
  `insert into sent_drip (id, step, subject, body)
   select id, step, $3, $4 from unnest($1::integer[], $2::integer[]) as drip (id, step)
       on conflict (id, step) do nothing`,
  [drips.map(({ id }) => id), drips.map(({ step }) => step), MESSAGE.subject, MESSAGE.body],
];
