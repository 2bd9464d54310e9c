import pg from "pg";
import type { LoadedDatabase } from "../data.ts";
import { millisecondsOf } from "../measure.ts";
import { count } from "../print.ts";
import { sendAtTheCeiling } from "./ceiling.ts";
import type { Contestant } from "./contestant.ts";
import { startDelayingProxy } from "./delaying-proxy.ts";
import { checkSent, makeDue } from "./due.ts";
import { openEngine, runOver, shippedSettings } from "./follow-ups.ts";

/** The engine: one whole run over everything due. */
export function engine(database: LoadedDatabase, due: number, url = database.url): Contestant {
  const opened = openEngine(url);
  return {
    name: `the engine, ${count(due)} due among ${count(database.instances)}`,
    rows: due,
    prepare: () => makeDue(database, due),
    run: () => runOver(opened, due),
    check: () => checkSent(database, due),
    close: () => opened.close(),
  };
}

/** The engine with a delayed database connection. `roundTrips` are measured, in milliseconds. */
export async function engineFarAway(database: LoadedDatabase, due: number, roundTripMs: number) {
  const proxy = await startDelayingProxy(database.url, roundTripMs);
  const near = engine(database, due, proxy.url);
  const contestant: Contestant = {
    ...near,
    name: `the engine, ${roundTripMs} ms from its database`,
    async close() {
      await near.close();
      await proxy.close();
    },
  };
  return { contestant, roundTrips: await roundTripsTo(proxy.url) };
}

/** The engine while another session holds an older snapshot, like a backup or a report. */
export function engineBesideSnapshot(database: LoadedDatabase, due: number): Contestant {
  const alone = engine(database, due);
  let session: pg.Client | undefined;
  return {
    ...alone,
    name: "the engine, beside an old snapshot",
    async prepare() {
      await alone.prepare();
      session = new pg.Client({ connectionString: database.url });
      await session.connect();
      await session.query("begin isolation level repeatable read");
      await session.query("select count(*) from workspace");
    },
    async check() {
      await session?.end();
      await alone.check();
    },
  };
}

/** The ceiling, with the engine's default batch size. */
export function ceiling(database: LoadedDatabase, due: number, connections: number): Contestant {
  const { batchSize } = shippedSettings(database.url);
  return {
    name: `the ceiling on ${connections === 1 ? "one connection" : `${connections} connections`}`,
    rows: due,
    prepare: () => makeDue(database, due),
    run: () => sendAtTheCeiling(database, { connections, batchSize }),
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
