import { DatabaseUnreachable, SchemaOutOfDate, UnsafeDatabaseSettings } from "../run/ports.ts";
import { redactError } from "../run/redact-error.ts";
import { unreachableFrom } from "./unreachable.ts";

/** SQLSTATEs for a missing table, column or type. A missing enum label is 22P02, an invalid input value. */
const MISSING_OBJECT = /^(42P01|42703|42704)$/;

/** Awaits a query. Throws SchemaOutOfDate, DatabaseUnreachable or an Error with the SQLSTATE, never with row values. */
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
  // Keep only the stack: a message such as "Failing row contains (…)" quotes the row.
  const options = { cause: redactError(thrown) };
  if (MISSING_OBJECT.test(sqlState) || (sqlState === "22P02" && message.includes("for enum"))) {
    return new SchemaOutOfDate([message], options);
  }
  return new Error(`${withoutValue(sqlState, message)} (SQLSTATE ${sqlState})`, options);
}

/** Removes the quoted value from the message of a data exception (class 22). */
const withoutValue = (sqlState: string, message: string): string =>
  sqlState.startsWith("22") ? message.replace(/:? ".*"/s, "") : message;

/** The server's SQLSTATE and message, from the driver or from Prisma; the SQLSTATE is empty if there is none. */
function serverFault(thrown: unknown): { readonly sqlState: string; readonly message: string } {
  const meta = field(thrown, "meta");
  const code = text(field(thrown, "code"));
  // Prisma's codes for a missing table or column in a query through its models.
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
