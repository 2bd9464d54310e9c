import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import * as z from "zod";
import { DAY_MS } from "../../lib/domain/time-zone.ts";
import { FOLDER, MESSAGE, makeDatabase } from "../database.ts";
import { installPackages } from "../install-packages.ts";

/** Job queues to compare with. The bench installs them, so that they are no dependency of the project. */
const PEERS = { "graphile-worker": "0.18.0", "pg-boss": "12.38.0" } as const;
type PeerName = keyof typeof PEERS;

const PEERS_FOLDER = join(FOLDER, "peers");

/** `graphile-worker 0.18.0` */
export const peerTitle = (name: PeerName): string => `${name} ${PEERS[name]}`;

/** A peer dependency that pg-boss imports. The install leaves peers out. */
const NEEDED_BY_PEERS = { "@opentelemetry/api": "1.10.0" };

/** Installs missing peers. Throws a Problem if npm fails. */
export const installPeers = (): Promise<void> => installPackages(PEERS_FOLDER, { ...PEERS, ...NEEDED_BY_PEERS });

/** Imports an installed peer. The caller declares the types that it uses. */
export async function importPeer<Module>(name: PeerName): Promise<Module> {
  const file = createRequire(join(PEERS_FOLDER, "package.json")).resolve(name);
  return (await import(pathToFileURL(file).href)) as Module;
}

/** A step of a drip campaign: the payload of a peer's job. */
export interface Drip {
  readonly id: number;
  readonly step: number;
}

/** A database for one peer, with a log of sent steps. */
interface DripDatabase {
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
  // Without a listener, the end of the server would end the process, and hide the error that led to it.
  pool.on("error", () => undefined);
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
      if (count !== steps) throw new Error(`expected ${steps} logged steps, found ${count}`);
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

export const tomorrow = (): Date => new Date(Date.now() + DAY_MS);
const inTheNextWeeks = (share: number): Date => new Date(tomorrow().getTime() + share * 14 * DAY_MS);

/** Query arguments that log steps as sent in one statement. Steps that are already logged stay unchanged. */
export const logSent = (drips: readonly Drip[]): [text: string, values: unknown[]] => [
  `insert into sent_drip (id, step, subject, body)
   select id, step, $3, $4 from unnest($1::integer[], $2::integer[]) as drip (id, step)
       on conflict (id, step) do nothing`,
  [drips.map(({ id }) => id), drips.map(({ step }) => step), MESSAGE.subject, MESSAGE.body],
];
