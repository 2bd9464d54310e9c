import type { Contestant } from "./contestant.ts";
import { type Drip, firstDrips, logSent, makeDripDatabase, nextDrip, tomorrow, waitingDrips } from "./drip.ts";
import { gathered } from "./gathered.ts";
import { importPeer, peerTitle } from "./install-peers.ts";

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

/**
 * The drip on graphile-worker, after https://worker.graphile.org/docs/performance: a local queue of 500, completions in
 * batches. `addJobs` (https://worker.graphile.org/docs/library/add-jobs) schedules the next steps. So many jobs run at
 * once as the local queue holds, and those that come together are logged and scheduled together: several times faster
 * than a statement for each, which is all that the documentation shows.
 */
export async function graphileWorker(serverUrl: string, steps: number): Promise<Contestant> {
  const { Logger, makeWorkerUtils, run } = await importPeer<GraphileWorker>("graphile-worker");
  const database = await makeDripDatabase(serverUrl, "bench_graphile_worker");
  const logger = new Logger(() => () => undefined);
  const utils = await makeWorkerUtils({ connectionString: database.url, logger });
  await utils.migrate();
  return {
    name: peerTitle("graphile-worker"),
    rows: steps,
    async prepare() {
      await database.empty();
      await database.pool.query("truncate graphile_worker._private_jobs");
      const jobs = firstDrips(steps).map((payload) => ({ identifier: "drip", payload }));
      for (let first = 0; first < steps; first += CHUNK) await utils.addJobs(jobs.slice(first, first + CHUNK));
      for (const { drips, dueAt: runAt } of waitingDrips(steps, CHUNK)) {
        await utils.addJobs(drips.map((payload) => ({ identifier: "drip", payload, runAt })));
      }
      await database.pool.query("vacuum (analyze) sent_drip, graphile_worker._private_jobs");
      await database.pool.query("checkpoint");
    },
    async run() {
      const all = Promise.withResolvers<void>();
      let left = steps;
      const send = gathered<{ drip: Drip; helpers: Helpers }>(async (sent) => {
        const drips = sent.map(({ drip }) => drip);
        const helpers = sent[0]?.helpers;
        await helpers?.query(...logSent(drips));
        const runAt = tomorrow();
        await helpers?.addJobs(drips.map((drip) => ({ identifier: "drip", payload: nextDrip(drip), runAt })));
        left -= drips.length;
        if (left === 0) all.resolve();
      });
      const taskList = { drip: (drip: Drip, helpers: Helpers) => send({ drip, helpers }) };
      const worker = { concurrentJobs: 500, maxPoolSize: 10, localQueue: { size: 500 }, completeJobBatchDelay: 0 };
      const preset = { worker: { connectionString: database.url, logger, ...worker } };
      const runner = await run({ preset, taskList, noHandleSignals: true });
      await all.promise;
      // Waits until all completions are written.
      await runner.stop();
    },
    check: () => database.checkLogged(steps),
    async close() {
      await utils.release();
      await database.pool.end();
    },
  };
}
