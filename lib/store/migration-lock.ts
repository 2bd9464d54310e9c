import pg from "pg";
import { isLockTimeout } from "./database-errors.ts";
import { MigrationFailed } from "./migration-failed.ts";

/** The session in which another migrator holds the lock. */
export interface MigrationLockHolder {
  readonly pid: number;
  /** Empty if this role may not see it. */
  readonly application: string;
}

/** The key that Prisma's engine also locks, so that `prisma migrate deploy` and this migrator exclude each other. */
const LOCK_KEY = 72707369;
const LOCK_TIMEOUT_MS = 10 * 60_000;

/**
 * Runs `work` while no other migrator works on the database. The lock belongs to a transaction on its own connection: a
 * transaction pooler never closes the session, so it would keep a session lock. Throws `MigrationFailed` if the
 * database is unsuitable, or if another migrator does not finish in time.
 */
export async function underMigrationLock<Result>(
  connection: pg.ClientConfig,
  onWaiting: (holder: MigrationLockHolder | undefined) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client(connection);
  client.on("error", ignore);
  await client.connect();
  try {
    await requireSuitableDatabase(client);
    await client.query("BEGIN");
    await takeLock(client, onWaiting);
    return await work();
  } finally {
    await client.query("ROLLBACK").catch(ignore);
    await client.end().catch(ignore);
  }
}

const ignore = () => undefined;

/** The migrations use features of PostgreSQL 15. */
const LEAST_VERSION = 150_000;

async function requireSuitableDatabase(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: number; version: string; schema: string | null; role: string }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
            current_schema() AS schema, quote_ident(session_user) AS role`,
  );
  const [found] = rows;
  if (found && found.number < LEAST_VERSION) throw MigrationFailed.serverTooOld(found.version);
  if (found && found.schema !== "public") throw MigrationFailed.notPublic(found.schema, found.role);
}

/** The transaction is idle while the migrations run, possibly for longer than the role's timeouts. */
const WITHOUT_TIMEOUTS = `
  SELECT set_config(name, '0', true) FROM pg_settings
   WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

async function takeLock(client: pg.Client, onWaiting: (holder: MigrationLockHolder | undefined) => void) {
  await client.query(WITHOUT_TIMEOUTS);
  const attempt = await client.query<{ locked: boolean }>("SELECT pg_try_advisory_xact_lock($1) AS locked", [LOCK_KEY]);
  if (attempt.rows[0]?.locked) return;
  const holder = await findHolder(client);
  onWaiting(holder);
  await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
  await client.query("SELECT pg_advisory_xact_lock($1)", [LOCK_KEY]).catch((cause: Error) => {
    throw isLockTimeout(cause) ? MigrationFailed.locked(LOCK_TIMEOUT_MS / 60_000, holder?.pid, cause) : cause;
  });
}

async function findHolder(client: pg.Client): Promise<MigrationLockHolder | undefined> {
  const { rows } = await client.query<MigrationLockHolder>(
    `SELECT pid, coalesce(application_name, '') AS application
       FROM pg_locks LEFT JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = $1 AND objsubid = 1
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [LOCK_KEY],
  );
  return rows[0];
}
