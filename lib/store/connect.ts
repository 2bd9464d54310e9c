import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { type Prisma, PrismaClient } from "./generated/client.ts";
import { openPool } from "./pool.ts";

/** A Prisma client or transaction; store functions accept both. */
export type Db = Prisma.TransactionClient;

/** One pool that Prisma and the overlap lock share. */
export interface Database {
  readonly prisma: PrismaClient;
  readonly pool: pg.Pool;
  close(): Promise<void>;
}

/** Opens a pool, see `openPool`, and Prisma's client on it. */
export function openDatabase(connection: pg.PoolConfig): Database {
  const pool = openPool(connection);
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

/** Why no connection can be opened with this connection string; undefined if it is well-formed. Connects to nothing. */
export function faultOfConnectionString(connectionString: string): string | undefined {
  try {
    new pg.Client({ connectionString });
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
