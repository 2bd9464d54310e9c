import type { Contestant } from "./contestants.ts";
import {
  type Drip,
  firstDrips,
  importPeer,
  logSent,
  makeDripDatabase,
  nextDrip,
  peerTitle,
  tomorrow,
} from "./peers.ts";

interface Boss {
  start(): Promise<unknown>;
  stop(options: object): Promise<void>;
  createQueue(queue: string): Promise<void>;
  deleteAllJobs(queue: string): Promise<unknown>;
  insert(queue: string, jobs: readonly { data: Drip; startAfter?: Date }[]): Promise<unknown>;
  fetch(queue: string, options: object): Promise<readonly { id: string; data: Drip }[]>;
  complete(queue: string, ids: readonly string[]): Promise<unknown>;
}
interface PgBoss {
  readonly PgBoss: new (options: object) => Boss;
}

const CHUNK = 5_000;
const QUEUE = "drip";
const WORKERS = 4;
const BATCH_SIZE = 500;

/**
 * The drip on pg-boss, as in https://pgboss.io/api/jobs: `fetch` in batches, one `insert` for all next steps, and one
 * `complete` for all ids. Several workers run in one process, as in https://pgboss.io/api/workers.
 */
export async function pgBoss(serverUrl: string, steps: number): Promise<Contestant> {
  const { PgBoss } = await importPeer<PgBoss>("pg-boss");
  const database = await makeDripDatabase(serverUrl, "bench_pg_boss");
  const boss = new PgBoss({ connectionString: database.url, supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue(QUEUE);
  return {
    name: peerTitle("pg-boss"),
    rows: steps,
    async prepare() {
      await database.empty();
      await boss.deleteAllJobs(QUEUE);
      for (const drips of firstDrips(steps, CHUNK)) {
        await boss.insert(
          QUEUE,
          drips.map(({ drip, dueAt }) => ({ data: drip, ...(dueAt && { startAfter: dueAt }) })),
        );
      }
      await database.pool.query("vacuum (analyze)");
      await database.pool.query("checkpoint");
    },
    async run() {
      const work = async () => {
        while (await sendBatch(boss, database.pool));
      };
      await Promise.all(Array.from({ length: WORKERS }, work));
    },
    check: () => database.checkLogged(steps),
    async close() {
      await boss.stop({ graceful: false });
      await database.pool.end();
    },
  };
}

/** Returns false if nothing was due. */
async function sendBatch(boss: Boss, pool: { query(text: string, values: unknown[]): Promise<unknown> }) {
  const jobs = await boss.fetch(QUEUE, { batchSize: BATCH_SIZE });
  if (jobs.length === 0) return false;
  await pool.query(...logSent(jobs.map(({ data }) => data)));
  const startAfter = tomorrow();
  await boss.insert(
    QUEUE,
    jobs.map(({ data }) => ({ data: nextDrip(data), startAfter })),
  );
  await boss.complete(
    QUEUE,
    jobs.map(({ id }) => id),
  );
  return true;
}
