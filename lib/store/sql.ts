import { empty, join, raw, type Sql, sqltag as sql } from "@prisma/client/runtime/client";
import type pg from "pg";
import * as z from "zod";
import { hostAndPort, translated, translateErrors } from "./database-errors.ts";

/** Builds a fragment of a statement; its values become parameters. Prisma's own, without the generated client. */
export { empty, join, raw, type Sql, sql };
/** Connections to one database. */
export type Pool = pg.Pool;

/** Runs statements: the pool, one of its connections, or a Prisma client or transaction. */
export interface Queryable {
  $queryRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<unknown>;
  /** Returns the number of changed rows. */
  $executeRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<number>;
}

type Template<Result> = (query: TemplateStringsArray, ...values: unknown[]) => Promise<Result>;

/** The rows of a query, parsed. Columns need the names of the schema: `next_step_due as "nextStepDue"`. */
export const many =
  <Row>(db: Queryable, row: z.ZodType<Row>): Template<Row[]> =>
  async (query, ...values) =>
    z.array(row).parse(await db.$queryRaw(query, ...values));

/** The single row of a query, parsed. Throws if there is none, or more than one. */
export const one =
  <Row>(db: Queryable, row: z.ZodType<Row>): Template<Row> =>
  async (query, ...values) =>
    z.tuple([row]).parse(await db.$queryRaw(query, ...values))[0];

/** Whether a query returns a row. */
export const exists =
  (db: Queryable): Template<boolean> =>
  async (query, ...values) =>
    z.array(z.unknown()).parse(await db.$queryRaw(query, ...values)).length > 0;

/** Runs a statement and returns the number of rows that it changed or selected. */
export const execute =
  (db: Queryable): Template<number> =>
  async (query, ...values) =>
    await db.$executeRaw(query, ...values);

export interface Transactional extends Queryable {
  /** Commits everything that `work` writes, or nothing. */
  transaction<Result>(work: (transaction: Queryable) => Promise<Result>): Promise<Result>;
}

/**
 * Runs statements directly on the driver, with Prisma's syntax. For thousands of values this avoids most of the cost of
 * Prisma's parameters and rows (docs/adr/0011). Each statement uses its own connection, unless in a transaction. Throws
 * the errors of `database-errors.ts`.
 */
export const onPool = (pool: pg.Pool): Transactional => ({
  ...statementsOn(pool),
  transaction: (work) => atomically(pool, work),
});

/**
 * Runs `work` on one read-only snapshot. PostgreSQL rejects writes and row locks in it, so no other transaction waits
 * for it. A failed part leaves the snapshot usable.
 */
export const onSnapshot = <Result>(pool: pg.Pool, work: Work<Result>): Promise<Result> =>
  onOneConnection(pool, ["begin isolation level repeatable read read only", "rollback"], work);

/** Commits everything that `work` writes, or nothing. A failed part leaves the transaction usable. */
export const atomically = <Result>(pool: pg.Pool, work: Work<Result>): Promise<Result> =>
  onOneConnection(pool, ["begin", "commit"], work);

/** Like `atomically`, but rolls back when `work` is done, so that nothing is written. */
export const rehearsing = <Result>(pool: pg.Pool, work: Work<Result>): Promise<Result> =>
  onOneConnection(pool, ["begin", "rollback"], work);

/** The transactions inside are savepoints. */
type Work<Result> = (transaction: Transactional) => Promise<Result>;

const onOneConnection = <Result>(
  pool: pg.Pool,
  [begin, end]: readonly [begin: string, end: string],
  work: Work<Result>,
): Promise<Result> =>
  withConnection(pool, async (client) => {
    await client.query(begin);
    const result = await work({
      ...statementsOn(client),
      transaction: (part) => translateErrors(inSavepoint(client, part)),
    });
    await client.query(end);
    return result;
  });

/**
 * One column of a multi-column `unnest`. A column of nulls is sent empty, because `unnest` pads with nulls. At least
 * one other column must have full length.
 */
export const column = <Value>(values: readonly (Value | null)[]): readonly (Value | null)[] =>
  values.some((value) => value !== null) ? values : [];

type Connection = Pick<pg.Pool, "query" | "options"> | Pick<pg.PoolClient, "query">;

const statementsOn = (connection: Connection): Queryable => ({
  $queryRaw: async (query, ...values) => (await run(connection, query, values)).rows,
  $executeRaw: async (query, ...values) => (await run(connection, query, values)).rowCount ?? 0,
});

async function run(
  connection: Connection,
  query: TemplateStringsArray,
  values: readonly unknown[],
): Promise<pg.QueryResult> {
  const statement = sql(query, ...values);
  try {
    return await connection.query({ text: statement.text, values: statement.values.map(arrayAsText) });
  } catch (thrown) {
    throw translated(thrown, "options" in connection ? hostAndPort(connection.options) : undefined);
  }
}

/** Encodes a plain array like the driver, but faster for thousands of elements. Leaves other values to the driver. */
function arrayAsText(value: unknown): unknown {
  if (!Array.isArray(value) || !value.every(isPlain)) return value;
  return `{${value.map(elementAsText).join(",")}}`;
}

function elementAsText(element: unknown): string {
  if (typeof element === "string")
    return `"${QUOTED.test(element) ? element.replaceAll(EACH_QUOTED, "\\$&") : element}"`;
  return element instanceof Date ? `"${element.toISOString()}"` : String(element);
}

const QUOTED = /["\\]/;
const EACH_QUOTED = new RegExp(QUOTED, "g");

const isPlain = (element: unknown): boolean =>
  typeof element === "string" ||
  typeof element === "boolean" ||
  element === null ||
  Number.isFinite(element) ||
  isOfFourDigits(element);

/** PostgreSQL rejects ISO 8601 for other years; the driver encodes those. */
const isOfFourDigits = (value: unknown): value is Date =>
  value instanceof Date && value.getUTCFullYear() >= 1 && value.getUTCFullYear() <= 9999;

async function inSavepoint<Result>(
  client: pg.PoolClient,
  work: (transaction: Queryable) => Promise<Result>,
): Promise<Result> {
  await client.query("savepoint part");
  try {
    const result = await work(statementsOn(client));
    await client.query("release savepoint part");
    return result;
  } catch (thrown) {
    await client.query("rollback to savepoint part");
    throw thrown;
  }
}

/** Closes the connection if `work` fails, so that the server rolls back the open transaction. */
async function withConnection<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect().catch((thrown) => {
    throw translated(thrown, hostAndPort(pool.options));
  });
  // If the connection dies between two statements, the next one fails. Without a listener the process would exit.
  client.on("error", ignore);
  let failed = true;
  try {
    const result = await work(client);
    failed = false;
    return result;
  } catch (thrown) {
    throw translated(thrown);
  } finally {
    client.off("error", ignore);
    client.release(failed);
  }
}

const ignore = () => undefined;

const clockRow = z.object({ now: z.date() });

/** See `databaseNow`. */
export const DATABASE_NOW = sql`date_trunc('milliseconds', clock_timestamp())`;

/** The database clock, truncated to milliseconds. It also stamps bookings, so that the two are comparable. */
export async function databaseNow(db: Queryable): Promise<Date> {
  const { now } = await one(db, clockRow)`select ${DATABASE_NOW} as now`;
  return now;
}
