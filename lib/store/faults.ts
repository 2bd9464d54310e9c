import { DatabaseUnreachable, SchemaOutOfDate } from "../run/ports.ts";

/** What the driver adapter tells of a failure, wherever Prisma put it. */
interface DriverFault {
  readonly kind: string;
  readonly sqlState: string;
  readonly message: string;
}

/** Missing table, column, type; and a label that the enum lacks, which PostgreSQL calls an invalid input value. */
const MISSING_OBJECT = /^(42P01|42703|42704)$/;
const UNREACHABLE_KINDS = new Set([
  "DatabaseNotReachable",
  "DatabaseDoesNotExist",
  "AuthenticationFailed",
  "DatabaseAccessDenied",
  "ConnectionClosed",
  "SocketTimeout",
  "TlsConnectionError",
  "TooManyConnections",
]);
/** Connection exceptions, operator intervention, no such database or role. */
const UNREACHABLE_STATE = /^(08|57P0|28|3D)/;

/** Awaits a query and throws in our own words: SchemaOutOfDate, DatabaseUnreachable, or an Error with the SQLSTATE. */
export async function told<Result>(query: Promise<Result>): Promise<Result> {
  try {
    return await query;
  } catch (thrown) {
    throw translated(thrown);
  }
}

export function translated(thrown: unknown): unknown {
  if (thrown instanceof SchemaOutOfDate || thrown instanceof DatabaseUnreachable) return thrown;
  const fault = driverFault(thrown);
  if (!fault) return thrown;
  const { kind, sqlState, message } = fault;
  const options = { cause: thrown };
  if (MISSING_OBJECT.test(sqlState) || (sqlState === "22P02" && message.includes("for enum"))) {
    return new SchemaOutOfDate([message], options);
  }
  if (UNREACHABLE_KINDS.has(kind) || UNREACHABLE_STATE.test(sqlState)) return new DatabaseUnreachable(message, options);
  return new Error(sqlState ? `${message} (SQLSTATE ${sqlState})` : message, options);
}

function driverFault(thrown: unknown): DriverFault | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const meta = field(thrown, "meta");
  const cause = field(field(meta, "driverAdapterError"), "cause") ?? field(thrown, "cause");
  const code = text(field(thrown, "code"));
  const sqlState = text(field(cause, "originalCode")) || (/^[0-9A-Z]{5}$/.test(code) ? code : "");
  if (code === "P2021" || code === "P2022") {
    const missing = text(field(meta, "table")) || text(field(meta, "column")) || thrown.message;
    return { kind: "", sqlState: "42P01", message: `${missing} does not exist` };
  }
  const kind = text(field(cause, "kind")) || connectionKind(code, thrown.message);
  if (!kind && !sqlState) return undefined;
  const message = text(field(cause, "originalMessage")) || unreachableMessage(cause) || oneLine(thrown.message);
  return { kind, sqlState, message };
}

/** What pg and Prisma's transactions throw without a driver fault when there is no connection to be had. */
function connectionKind(code: string, message: string): string {
  const refused = /^(ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EPIPE|EAI_AGAIN|P1001|P1002|P1017)$/.test(code);
  return refused || /Connection terminated|timeout exceeded when trying to connect/.test(message)
    ? "DatabaseNotReachable"
    : "";
}

function unreachableMessage(cause: unknown): string {
  const host = text(field(cause, "host"));
  return host ? `no server answers at ${host}:${String(field(cause, "port"))}` : "";
}

const field = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const oneLine = (message: string): string => message.trim().split("\n").at(-1) ?? message;
