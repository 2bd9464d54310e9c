import pg from "pg";
import * as z from "zod";
import { MESSAGE, makeDatabase } from "../data.ts";

/** A step of a drip campaign: the payload of a peer's job. */
export interface Drip {
  readonly id: number;
  readonly step: number;
}

/** A database for one peer, with a log of sent steps. */
export interface DripDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  /** Clears the log. */
  empty(): Promise<void>;
  /** Throws unless exactly `steps` first steps were sent. */
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

/** A recipient's first step. It is due now if `dueAt` is null. */
export interface FirstDrip {
  readonly drip: Drip;
  readonly dueAt: Date | null;
}

/** One first step in this many is due, as with the engine. */
const ONE_IS_DUE_OF = 10;

/** The first steps of all recipients, in portions. Due steps are spread evenly among the others. */
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

/** Query arguments that log steps as sent in one statement. Steps that are already logged stay unchanged. */
export const logSent = (drips: readonly Drip[]): [text: string, values: unknown[]] => [
  `insert into sent_drip (id, step, subject, body)
   select id, step, $3, $4 from unnest($1::integer[], $2::integer[]) as drip (id, step)
       on conflict (id, step) do nothing`,
  [drips.map(({ id }) => id), drips.map(({ step }) => step), MESSAGE.subject, MESSAGE.body],
];
