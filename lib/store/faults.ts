import { DatabaseUnreachable, SchemaOutOfDate, UnsafeDatabaseSettings } from "../run/ports.ts";
import { withoutMessage } from "../run/without-message.ts";
import { unreachableFrom } from "./unreachable.ts";

/** Missing table, column, type; and a label that the enum lacks, which PostgreSQL calls an invalid input value. */
const MISSING_OBJECT = /^(42P01|42703|42704)$/;

/** Awaits a query and throws without values of rows: SchemaOutOfDate, DatabaseUnreachable, or an Error with the SQLSTATE. */
export async function told<Result>(query: PromiseLike<Result>): Promise<Result> {
  try {
    return await query;
  } catch (thrown) {
    throw translated(thrown);
  }
}

const OURS = [SchemaOutOfDate, UnsafeDatabaseSettings, DatabaseUnreachable];

export function translated(thrown: unknown): unknown {
  if (OURS.some((kind) => thrown instanceof kind)) return thrown;
  const unreachable = unreachableFrom(thrown);
  if (unreachable) return unreachable;
  const { sqlState, message } = serverFault(thrown);
  if (!sqlState) return thrown;
  // Where it was thrown, and no more: "Failing row contains (…)" is what the row says.
  const options = { cause: withoutMessage(thrown) };
  if (MISSING_OBJECT.test(sqlState) || (sqlState === "22P02" && message.includes("for enum"))) {
    return new SchemaOutOfDate([message], options);
  }
  return new Error(`${withoutValue(sqlState, message)} (SQLSTATE ${sqlState})`, options);
}

/** A data exception (class 22) quotes the value that PostgreSQL cannot read. */
const withoutValue = (sqlState: string, message: string): string =>
  sqlState.startsWith("22") ? message.replace(/:? ".*"/s, "") : message;

/** What the server said, wherever the driver or Prisma put it; an empty SQLSTATE where it said nothing. */
function serverFault(thrown: unknown): { readonly sqlState: string; readonly message: string } {
  const meta = field(thrown, "meta");
  const code = text(field(thrown, "code"));
  // Prisma's own codes for a missing table or column, which it gives for reads through its models.
  if (code === "P2021" || code === "P2022") {
    const missing = text(field(meta, "table")) || text(field(meta, "column")) || "what a model names";
    return { sqlState: "42P01", message: `${missing} does not exist` };
  }
  const cause = field(field(meta, "driverAdapterError"), "cause") ?? field(thrown, "cause");
  const sqlState = text(field(cause, "originalCode")) || (/^[0-9A-Z]{5}$/.test(code) ? code : "");
  const message = text(field(cause, "originalMessage")) || text(field(thrown, "message")).trim();
  return { sqlState, message };
}

const field = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
const text = (value: unknown): string => (typeof value === "string" ? value : "");
