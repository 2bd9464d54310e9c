import type pg from "pg";
import { Prisma } from "./generated/client.ts";

/** What runs a statement: the pool, a connection of it, or a client or transaction of Prisma. */
export interface Queryable {
  $queryRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<unknown>;
  /** Answers how many rows were changed. */
  $executeRaw(query: TemplateStringsArray, ...values: unknown[]): PromiseLike<number>;
}

export interface Transactional extends Queryable {
  /** All or nothing. */
  transaction<Result>(work: (transaction: Queryable) => Promise<Result>): Promise<Result>;
}

/**
 * Statements straight on the driver, for those that carry thousands of values: written as for Prisma, at a fraction of
 * what its parameters and rows cost (docs/adr/0011). Each in a connection of its own, unless in a transaction.
 */
export const onPool = (pool: pg.Pool): Transactional => ({
  ...statementsOn(pool),
  transaction: (work) => inTransaction(pool, work),
});

/**
 * Works on one snapshot, read only: PostgreSQL refuses any write and any row lock, so no other transaction ever waits for
 * it. A part that fails leaves the snapshot usable.
 */
export async function onSnapshot(pool: pg.Pool, work: (snapshot: Transactional) => Promise<void>): Promise<void> {
  await withConnection(pool, async (client) => {
    await client.query("begin isolation level repeatable read read only");
    await work({ ...statementsOn(client), transaction: (part) => inSavepoint(client, part) });
    await client.query("rollback");
  });
}

/**
 * A column of an `unnest` of several, at least one of which is as long as there are rows: of nothing but nulls none is sent,
 * for `unnest` fills up with them.
 */
export const column = <Value>(values: readonly (Value | null)[]): readonly (Value | null)[] =>
  values.some((value) => value !== null) ? values : [];

type Connection = Pick<pg.Pool, "query"> | Pick<pg.PoolClient, "query">;

const statementsOn = (connection: Connection): Queryable => ({
  $queryRaw: async (query, ...values) => (await run(connection, query, values)).rows,
  $executeRaw: async (query, ...values) => (await run(connection, query, values)).rowCount ?? 0,
});

function run(connection: Connection, query: TemplateStringsArray, values: readonly unknown[]): Promise<pg.QueryResult> {
  const statement = Prisma.sql(query, ...values);
  return connection.query({ text: statement.text, values: statement.values.map(arrayAsText) });
}

/** As the driver would, in a fraction of its time for thousands of elements; what it alone knows how to write is left to it. */
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

/** Of other years PostgreSQL does not read ISO 8601; the driver knows how it reads them. */
const isOfFourDigits = (value: unknown): value is Date =>
  value instanceof Date && value.getUTCFullYear() >= 1 && value.getUTCFullYear() <= 9999;

const inTransaction = <Result>(pool: pg.Pool, work: (transaction: Queryable) => Promise<Result>): Promise<Result> =>
  withConnection(pool, async (client) => {
    await client.query("begin");
    const result = await work(statementsOn(client));
    await client.query("commit");
    return result;
  });

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

/** A connection on which something failed is closed: the server then undoes what it had not committed. */
async function withConnection<Result>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  // A connection that dies between two statements is told by the next one; without a listener the process would end.
  client.on("error", ignore);
  let failed = true;
  try {
    const result = await work(client);
    failed = false;
    return result;
  } finally {
    client.off("error", ignore);
    client.release(failed);
  }
}

const ignore = () => undefined;
