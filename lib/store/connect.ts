import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { type Prisma, PrismaClient } from "./generated/client.ts";

/** A client or a transaction: store functions take either. */
export type Db = Prisma.TransactionClient;

/** One pool that Prisma and the overlap lock share. */
export interface Database {
  readonly prisma: PrismaClient;
  readonly pool: pg.Pool;
  close(): Promise<void>;
}

/** What a run takes at most: one for its lock, and one for each claimer. */
export const POOL_SIZE = 4;

/** Opens a pool; no connection is made before the first query. An idle pool does not keep the process alive. */
export function openDatabase(connection: pg.PoolConfig): Database {
  const pool = new pg.Pool({ max: POOL_SIZE, connectionTimeoutMillis: 5_000, allowExitOnIdle: true, ...connection });
  // A connection that dies while it is idle is dropped by the pool; without a listener the process would end instead.
  pool.on("error", () => undefined);
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });
  return {
    prisma,
    pool,
    async close() {
      await prisma.$disconnect();
      await pool.end();
    },
  };
}
