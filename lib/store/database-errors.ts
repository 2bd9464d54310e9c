import { DatabaseUnreachable, SchemaOutOfDate, UnsafeDatabaseSettings } from "../run/ports.ts";
import { redactError } from "../run/redact-error.ts";

/** SQLSTATEs for a missing table, column or type. A missing enum label is 22P02, an invalid input value. */
const MISSING_OBJECT = /^(42P01|42703|42704)$/;

/** An error that the server reported. Its message holds no values of the row. */
export class DatabaseError extends Error {
  /** The SQLSTATE. */
  readonly code: string;
  readonly constraint: string;

  constructor(message: string, code: string, constraint: string, options: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.constraint = constraint;
  }
}

/** Awaits `query`; translates its error. Statements on `onPool` need no translation. */
export async function translateErrors<Result>(query: PromiseLike<Result>): Promise<Result> {
  try {
    return await query;
  } catch (thrown) {
    throw translated(thrown);
  }
}

const TRANSLATED = [SchemaOutOfDate, UnsafeDatabaseSettings, DatabaseUnreachable, DatabaseError];

/**
 * A database error as SchemaOutOfDate, DatabaseUnreachable or an Error with the SQLSTATE, never with row values.
 * Returns other errors unchanged. `place` is the server, because many errors of the driver do not name it.
 */
export function translated(thrown: unknown, place?: string): unknown {
  if (TRANSLATED.some((kind) => thrown instanceof kind)) return thrown;
  const unreachable = unreachableFrom(thrown, place);
  if (unreachable) return unreachable;
  const { sqlState, message, constraint } = serverFault(thrown);
  if (!sqlState) return thrown;
  // Keep only the stack: a message such as "Failing row contains (…)" quotes the row.
  const options = { cause: redactError(thrown) };
  if (MISSING_OBJECT.test(sqlState) || (sqlState === "22P02" && message.includes("for enum"))) {
    return new SchemaOutOfDate([message], options);
  }
  const text = `${withoutValue(sqlState, message)} (SQLSTATE ${sqlState})`;
  return new DatabaseError(text, sqlState, constraint, options);
}

/** Whether this is PostgreSQL's `lock_not_available`. */
export const isLockTimeout = (thrown: unknown): boolean => field(thrown, "code") === "55P03";

/** Whether the server rejected a row because of this constraint or unique index. */
export const violates = (thrown: unknown, constraint: string): boolean => field(thrown, "constraint") === constraint;

/** Removes the quoted value from the message of a data exception (class 22). */
const withoutValue = (sqlState: string, message: string): string =>
  sqlState.startsWith("22") ? message.replace(/:? ".*"/s, "") : message;

interface ServerFault {
  readonly sqlState: string;
  readonly message: string;
  /** The violated constraint or unique index, or empty. */
  readonly constraint: string;
}

/** The server's SQLSTATE and message, from the driver or from Prisma; the SQLSTATE is empty if there is none. */
function serverFault(thrown: unknown): ServerFault {
  const meta = field(thrown, "meta");
  const code = text(field(thrown, "code"));
  // Prisma's codes for a missing table or column in a query through its models.
  if (code === "P2021" || code === "P2022") {
    const missing = text(field(meta, "table")) || text(field(meta, "column")) || "what a model names";
    return { sqlState: "42P01", message: `${missing} does not exist`, constraint: "" };
  }
  const cause = field(field(meta, "driverAdapterError"), "cause") ?? field(thrown, "cause");
  const sqlState = text(field(cause, "originalCode")) || (/^[0-9A-Z]{5}$/.test(code) ? code : "");
  const message = text(field(cause, "originalMessage")) || text(field(thrown, "message")).trim();
  return { sqlState, message, constraint: text(field(thrown, "constraint")) };
}

const field = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Host and port of a database for a message, never the password. */
export function hostAndPort(address: Address): string {
  if (address.connectionString === undefined) return placeAt(address.host ?? "localhost", address.port ?? 5432);
  if (!URL.canParse(address.connectionString)) return "the given address";
  const { hostname, port, searchParams } = new URL(address.connectionString);
  return placeAt(searchParams.get("host") ?? (hostname || "localhost"), port || 5432);
}

interface Address {
  readonly connectionString?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

/** A host that is a path is the folder of a socket. */
const placeAt = (host: string, port: number | string): string => (host.startsWith("/") ? host : `${host}:${port}`);

/** Describes a failed or lost connection; undefined for any other error. */
export function unreachableFrom(error: unknown, knownPlace?: string): DatabaseUnreachable | undefined {
  if (error instanceof DatabaseUnreachable) return error;
  const links = causeChain(error);
  const place = knownPlace ?? links.find((link) => link.place)?.place ?? "the database";
  for (const link of links) {
    const detail = describeLink(link, place);
    if (detail) return new DatabaseUnreachable(detail, { cause: error });
  }
  return undefined;
}

interface Link {
  readonly code: string;
  readonly message: string;
  /** Host and port if the driver reports them, else empty. */
  readonly place: string;
}

/** The error, its causes, and the driver errors that Prisma wraps. */
function causeChain(error: unknown, depth = 0): Link[] {
  if (typeof error !== "object" || error === null || depth > 5) return [];
  const { code, originalCode, kind, syscall, message, originalMessage, host, port, cause, meta } = error as Record<
    string,
    unknown
  >;
  const link = {
    // A missing socket and a missing file have the same code.
    code: code === "ENOENT" && syscall !== "connect" ? "" : String(originalCode ?? code ?? kind ?? ""),
    message: String(originalMessage ?? message ?? ""),
    place: typeof host === "string" ? placeAt(host, String(port)) : "",
  };
  const driverError = (meta as { driverAdapterError?: unknown } | undefined)?.driverAdapterError;
  return [link, ...causeChain(cause, depth + 1), ...causeChain(driverError, depth + 1)];
}

function describeLink({ code, message }: Link, place: string): string | undefined {
  const describe = BY_CODE[code];
  if (describe) return describe(place, message);
  if (/^(08|57P0|28|3D)...?$/.test(code)) return serverSays(place, message);
  if (/^(CERT_|ERR_TLS_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code))
    return `${place} shows no valid certificate: ${message}`;
  return BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1](place, message);
}

type Describe = (place: string, message: string) => string;

const notListening: Describe = (place) => `nothing listens on ${place}`;
const unknownHost: Describe = (place) => `the host of ${place} is not known`;
const noAnswer: Describe = (place) => `${place} does not answer`;
const lost: Describe = (place) => `the connection to ${place} was lost`;
const serverSays: Describe = (place, message) => `${place} says: ${message}`;

const BY_CODE: Readonly<Record<string, Describe>> = {
  ECONNREFUSED: notListening,
  DatabaseNotReachable: notListening,
  ENOENT: (place) => `there is no socket in ${place}`,
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  ETIMEDOUT: noAnswer,
  EHOSTUNREACH: noAnswer,
  ENETUNREACH: noAnswer,
  SocketTimeout: noAnswer,
  ECONNRESET: lost,
  EPIPE: lost,
  ConnectionClosed: lost,
  "08006": lost,
  "57P01": lost,
  "57P02": lost,
  "57P03": serverSays,
  "53300": serverSays,
  "28P01": serverSays,
  "28000": serverSays,
  "3D000": serverSays,
};

const BY_MESSAGE: readonly (readonly [RegExp, Describe])[] = [
  [/^Connection terminated unexpectedly/, lost],
  [/^(Client has encountered a connection error|Client was closed)/, lost],
  [
    /^(timeout expired|timeout exceeded when trying to connect|Connection terminated due to connection timeout)/,
    noAnswer,
  ],
  [
    /^The server does not support SSL connections/,
    (place) => `${place} offers no TLS, which the connection string asks for`,
  ],
  [/SASL.*password must be a string/, (place) => `${place} wants a password, and the connection string has none`],
  [/unexpected message|received invalid response/i, (place) => `what listens on ${place} is not PostgreSQL`],
];
