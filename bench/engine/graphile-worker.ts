import { setImmediate } from "node:timers/promises";
import type { Contestant } from "./contestants.ts";
import {
  type Drip,
  type FirstDrip,
  firstDrips,
  importPeer,
  logSent,
  makeDripDatabase,
  nextDrip,
  peerTitle,
  tomorrow,
} from "./peers.ts";

interface JobSpec {
  readonly identifier: string;
  readonly payload: unknown;
  readonly runAt?: Date;
}
interface Helpers {
  query(text: string, values: unknown[]): Promise<unknown>;
  addJobs(specs: readonly JobSpec[]): Promise<unknown>;
}
interface GraphileWorker {
  readonly Logger: new (factory: () => () => void) => unknown;
  makeWorkerUtils(options: object): Promise<{
    migrate(): Promise<void>;
    addJobs(specs: readonly JobSpec[]): Promise<unknown>;
    release(): Promise<void>;
  }>;
  run(options: object): Promise<{ stop(): Promise<void> }>;
}

const CHUNK = 5_000;

/** Whether concurrent steps share statements. */
type Statements = "one-per-step" | "batched";

/**
 * The drip on graphile-worker, configured as https://worker.graphile.org/docs/performance recommends: a local queue of
 * 500, and completions in batches. A task logs its step and schedules the next one, as in
 * https://worker.graphile.org/docs/tasks. The `batched` variant is several times faster than the documented ones. It
 * runs as many concurrent jobs as the local queue holds, and logs and schedules concurrent jobs in one batch.
 */
export async function graphileWorker(serverUrl: string, steps: number, statements: Statements): Promise<Contestant> {
  const { Logger, makeWorkerUtils, run } = await importPeer<GraphileWorker>("graphile-worker");
  const database = await makeDripDatabase(serverUrl, `bench_graphile_worker_${steps}`);
  const logger = new Logger(() => () => undefined);
  const utils = await makeWorkerUtils({ connectionString: database.url, logger });
  await utils.migrate();
  return {
    name: `${peerTitle("graphile-worker")}, ${statements === "batched" ? "batched statements" : "one statement per step"}`,
    rows: steps,
    async prepare() {
      await database.empty();
      await database.pool.query("truncate graphile_worker._private_jobs");
      for (const drips of firstDrips(steps, CHUNK)) await utils.addJobs(drips.map(jobOf));
      await database.pool.query("vacuum (analyze) sent_drip, graphile_worker._private_jobs");
      await database.pool.query("checkpoint");
    },
    async run() {
      const all = Promise.withResolvers<void>();
      let left = steps;
      const sendAll = async (sent: readonly Sent[]) => {
        const drips = sent.map(({ drip }) => drip);
        const helpers = sent[0]?.helpers;
        await helpers?.query(...logSent(drips));
        await helpers?.addJobs(drips.map((drip) => jobOf({ drip: nextDrip(drip), dueAt: tomorrow() })));
        left -= drips.length;
        if (left === 0) all.resolve();
      };
      const send = statements === "batched" ? batched(sendAll) : (sent: Sent) => sendAll([sent]);
      const taskList = { drip: (drip: Drip, helpers: Helpers) => send({ drip, helpers }) };
      const concurrentJobs = statements === "batched" ? 500 : 24;
      const worker = { concurrentJobs, maxPoolSize: 10, localQueue: { size: 500 }, completeJobBatchDelay: 0 };
      const preset = { worker: { connectionString: database.url, logger, ...worker } };
      const runner = await run({ preset, taskList, noHandleSignals: true });
      await all.promise;
      // `stop` waits until all completions are written.
      await runner.stop();
    },
    check: () => database.checkLogged(steps),
    async close() {
      await utils.release();
      await database.pool.end();
    },
  };
}

interface Sent {
  readonly drip: Drip;
  readonly helpers: Helpers;
}

const jobOf = ({ drip, dueAt }: FirstDrip): JobSpec => ({
  identifier: "drip",
  payload: drip,
  ...(dueAt && { runAt: dueAt }),
});

/** Batches the items of one event loop iteration into one call of `work`. */
function batched<Item>(work: (items: readonly Item[]) => Promise<void>): (item: Item) => Promise<void> {
  let items: Item[] = [];
  let worked: Promise<void> | undefined;
  const workOnAll = async () => {
    await setImmediate();
    const all = items;
    items = [];
    worked = undefined;
    await work(all);
  };
  return (item) => {
    items.push(item);
    worked ??= workOnAll();
    return worked;
  };
}
