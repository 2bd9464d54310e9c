import { setTimeout as pause } from "node:timers/promises";
import type pg from "pg";
import type { Sql } from "./factories.ts";

/** A transaction on its own connection that stays open until `commit` or `rollback`. */
export interface OpenTransaction extends Sql {
  readonly pid: number;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

const leftOpen = new Set<OpenTransaction>();

export async function openTransaction(pool: pg.Pool): Promise<OpenTransaction> {
  const client = await pool.connect();
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  await client.query("begin");
  const end = async (statement: string) => {
    leftOpen.delete(transaction);
    await client.query(statement);
    client.release();
  };
  const transaction: OpenTransaction = {
    pid: rows[0]?.pid ?? 0,
    query: (text, values) => client.query(text, values),
    commit: () => end("commit"),
    rollback: () => end("rollback"),
  };
  leftOpen.add(transaction);
  return transaction;
}

/** Rolls back the transactions of a failed test, so that the next test does not wait for their locks. */
export async function rollbackLeftOpen(): Promise<void> {
  for (const transaction of leftOpen) await transaction.rollback();
}

/** Waits until a connection is blocked by this one. Returns the pid of the blocked connection. */
export const untilBlockedBy = (sql: Sql, pid: number): Promise<number> =>
  until(`a connection waits for ${pid}`, () => blockedBy(sql, pid));

/** The pid of a connection that is blocked by this one. */
export async function blockedBy(sql: Sql, pid: number): Promise<number | undefined> {
  const { rows } = await sql.query<{ pid: number }>(
    "select pid from pg_stat_activity where $1 = any(pg_blocking_pids(pid)) limit 1",
    [pid],
  );
  return rows[0]?.pid;
}

/** Polls until `ask` returns a value. Throws after ten seconds. */
export async function until<Answer>(what: string, ask: () => Promise<Answer | undefined>): Promise<Answer> {
  const giveUpAt = performance.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > giveUpAt) throw new Error(`waited in vain until ${what}`);
    await pause(5);
  }
}
