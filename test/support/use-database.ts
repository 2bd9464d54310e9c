import { afterEach, beforeEach } from "@jest/globals";
import pg from "pg";
import { atEnd } from "./at-end.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import type { Sql } from "./factories.ts";
import { rollbackLeftOpen } from "./transactions.ts";

export interface UsedDatabase {
  readonly database: TestDatabase;
  readonly sql: pg.Pool;
}

export interface UseOptions {
  /** Deletes all rows before each test. */
  readonly empty?: boolean;
  readonly pool?: pg.PoolConfig;
}

/**
 * A migrated database for this test file, dropped at its end, and a pool on it. Transactions that a failed test left
 * open are rolled back. Call it once, at the top of the file.
 */
export async function useDatabase({ empty = false, pool }: UseOptions = {}): Promise<UsedDatabase> {
  const database = await createDatabase();
  atEnd(() => database.drop());
  const sql = openPool(database.url, pool);
  atEnd(() => sql.end());
  if (empty) beforeEach(() => deleteAll(sql));
  afterEach(rollbackLeftOpen);
  return { database, sql };
}

/** Deletes all rows. With the few rows of a test it takes a millisecond, where `TRUNCATE` takes a hundred. */
export async function deleteAll(sql: Sql): Promise<void> {
  await sql.query(`
    do $$
    declare ours regclass;
    begin
      set local session_replication_role = replica;
      for ours in
        select oid from pg_class
         where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_prisma_migrations'
      loop
        execute format('delete from %s', ours);
      end loop;
    end $$`);
}

/** A pool for the test itself, separate from the runs. A statement that waits 20 s for a lock fails. */
export function openPool(url: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 10, options: "-c lock_timeout=20s", ...options });
  pool.on("error", () => undefined);
  return pool;
}
