import pg from "pg";

/** Most connections that one process uses: one for the lock of a run, and one per claimer. */
export const POOL_SIZE = 4;

/** Opens a pool that connects on the first query. An idle pool does not keep the process alive. */
export function openPool(connection: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool({ max: POOL_SIZE, connectionTimeoutMillis: 5_000, allowExitOnIdle: true, ...connection });
  // The pool drops an idle connection that dies. Without a listener the process would exit.
  pool.on("error", () => undefined);
  return pool;
}
