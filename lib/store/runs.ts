import type pg from "pg";
import * as z from "zod";
import type { HeldLock, LockHolder, OverlapLock, StartedRun, StoredReport } from "../run/ports.ts";
import type { Db } from "./connect.ts";
import { translateErrors } from "./database-errors.ts";
import { many, onPool, type Queryable } from "./sql.ts";

/** Inserts the row of a started run and returns its id. A row that stays unfinished means that the run died. */
export async function startRun(db: Db, run: StartedRun): Promise<string> {
  const { id } = await db.run.create({ data: run, select: { id: true } });
  return id;
}

/** Stores the report, and whether this run made the daily comparison. */
export async function finishRun(db: Db, runId: string, report: StoredReport, finishedAt: Date): Promise<void> {
  const compared = typeof report.backstop?.missedByMarker === "number" ? report.timestamp : null;
  await db.run.update({
    where: { id: runId },
    data: { finishedAt, success: report.success, comparedAt: compared, report: JSON.parse(JSON.stringify(report)) },
  });
}

/** Arbitrary keys that nothing else in the database uses: the ASCII text "back", and the same plus one. */
const CLASS_ID = 0x6261636b;
const OBJECT_ID = 1;
const SINCE_CLASS_ID = CLASS_ID + 1;
/** 2020-01-01: seconds since then fit into the 31 bits of an advisory lock's key until 2088. */
const SINCE_EPOCH = 1_577_836_800;

/**
 * A transaction-level advisory lock on its own connection. A session-level lock would outlive its run on a pooled
 * connection, and would pin a proxied one.
 */
export function overlapLock(pool: pg.Pool): OverlapLock {
  return { tryAcquire: () => translateErrors(tryAcquire(pool)), holder: () => findHolder(onPool(pool)) };
}

async function tryAcquire(pool: pg.Pool): Promise<HeldLock | undefined> {
  const client = await pool.connect();
  const connection = watched(client);
  try {
    await client.query("begin");
    const { rows } = await client.query(ACQUIRE, [CLASS_ID, OBJECT_ID, SINCE_CLASS_ID, SINCE_EPOCH]);
    const { acquired, pid } = z.object({ acquired: z.boolean(), pid: z.int() }).parse(rows[0]);
    if (acquired) return heldLock(client, pid, connection);
    await client.query("rollback");
    connection.unwatch();
    client.release(!connection.isAlive());
    return undefined;
  } catch (thrown) {
    connection.unwatch();
    client.release(true);
    throw thrown;
  }
}

/**
 * The holder also takes a lock whose key is the acquisition time. Every role sees both locks in `pg_locks`, while
 * `pg_stat_activity` hides the start of other roles' transactions.
 */
const ACQUIRE = `
  with lock as materialized (select pg_try_advisory_xact_lock($1, $2) as acquired)
  select acquired, pg_backend_pid() as pid,
         case when acquired then pg_try_advisory_xact_lock($3, floor(extract(epoch from clock_timestamp()))::int - $4) end
    from lock`;

/** Tracks whether a connection is alive. Listens for errors, because an unhandled one would end the process. */
function watched(client: pg.PoolClient) {
  let alive = true;
  const lose = () => {
    alive = false;
  };
  client.on("error", lose);
  client.on("end", lose);
  return {
    isAlive: () => alive,
    lose,
    unwatch() {
      client.off("error", lose);
      client.off("end", lose);
    },
  };
}

function heldLock(client: pg.PoolClient, pid: number, connection: ReturnType<typeof watched>): HeldLock {
  return {
    pid,
    isHeld: connection.isAlive,
    async release() {
      if (connection.isAlive()) await client.query("rollback").catch(connection.lose);
      connection.unwatch();
      client.release(!connection.isAlive());
    },
  };
}

const holderRow = z.object({
  runId: z.guid().nullable(),
  requestId: z.string().nullable(),
  pid: z.int(),
  since: z.date(),
  deadlineAt: z.date().nullable(),
});

/**
 * The run whose server process holds the lock. A holder without a `run` row, such as a dry run, is known only by its
 * process. Its deadline is Lambda's maximum timeout, 15 minutes
 * (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html).
 */
async function findHolder(db: Queryable): Promise<LockHolder | undefined> {
  const [holder] = await many(db, holderRow)`
    with held as (
      select pid, classid::bigint, objid::bigint
        from pg_locks
       where locktype = 'advisory' and granted and objsubid = 2
         and database = (select oid from pg_database where datname = current_database()))
    select held.pid, run.id as "runId", run.request_id as "requestId",
           coalesce(run.started_at, taken.since, now()) as since,
           coalesce(run.deadline_at, taken.since + interval '15 minutes') as "deadlineAt"
      from held
      left join (
        select pid, to_timestamp(objid + ${SINCE_EPOCH}) as since from held where classid = ${SINCE_CLASS_ID}) as taken using (pid)
      left join lateral (
        select id, request_id, started_at, deadline_at from run
         where run.lock_pid = held.pid and run.finished_at is null
           and run.started_at >= taken.since - interval '1 minute'
         order by run.started_at desc limit 1) as run on true
     where held.classid = ${CLASS_ID} and held.objid = ${OBJECT_ID}`;
  return (
    holder && { ...holder, since: holder.since.toISOString(), deadlineAt: holder.deadlineAt?.toISOString() ?? null }
  );
}
