import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { type Prisma, PrismaClient } from "./generated/client.ts";
import { POOL_SIZE } from "./pool-size.ts";

/** A Prisma client or transaction; store functions accept both. */
export type Db = Prisma.TransactionClient;

/** One pool that Prisma and the overlap lock share. */
export interface Database {
  readonly prisma: PrismaClient;
  readonly pool: pg.Pool;
  close(): Promise<void>;
}

/** Opens a pool that connects on the first query. An idle pool does not keep the process alive. */
export function openDatabase(connection: pg.PoolConfig): Database {
  const pool = new pg.Pool({ max: POOL_SIZE, connectionTimeoutMillis: 5_000, allowExitOnIdle: true, ...connection });
  // The pool drops an idle connection that dies. Without a listener the process would exit.
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

/** Why no connection can be opened with this connection string; undefined if it is well-formed. Connects to nothing. */
export function faultOfConnectionString(connectionString: string): string | undefined {
  try {
    new pg.Client({ connectionString });
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
