import { createHash, randomBytes } from "node:crypto";
import { type ConnectionSecret, connectionSecretIn, type Tool } from "../../lib/platform/connection-secrets.ts";
import { Unavailable } from "../../lib/platform/unavailable.ts";
import { Problem } from "../problem.ts";
import type { ConnectionStore } from "./connection-store.ts";

/** The connection of one workspace with one tool, on a stage. */
export interface Connection {
  readonly tool: Tool;
  readonly stage: string;
  readonly workspace: { readonly id: string; readonly name: string };
  /** The route of the tool for this workspace. */
  readonly endpoint: string;
  readonly store: ConnectionStore;
}

/** The text of a secret is not what a connection needs. */
export class InvalidSecret extends Problem {}

/** The stored secret. Throws InvalidSecret, which says how to repair it. */
export async function storedSecret({ store, tool }: Connection): Promise<ConnectionSecret | undefined> {
  const text = await store.read();
  if (text === undefined) return undefined;
  try {
    return connectionSecretIn(text, store.name, tool);
  } catch (thrown) {
    if (!(thrown instanceof Unavailable)) throw thrown;
    const remedy = `correct it, or start over: connect ${tool} --remove, then connect ${tool}`;
    throw new InvalidSecret(`${thrown.message}. To repair it, ${remedy}`, { cause: thrown });
  }
}

/** The stored secret. Throws a Problem if there is none. */
export async function connectedSecret(connection: Connection): Promise<ConnectionSecret> {
  const secret = await storedSecret(connection);
  if (secret) return secret;
  const { tool, workspace } = connection;
  throw new Problem(`the workspace ${workspace.name} is not connected with ${tool}: run connect ${tool} first`);
}

/** Stores values in the secret. Keeps what else it has, also keys that this version does not know. */
export async function storeSecret({ store }: Connection, changes: Partial<ConnectionSecret>): Promise<void> {
  const text = await store.read();
  const before: unknown = text === undefined ? {} : JSON.parse(text);
  const after = JSON.stringify({ ...(before as object), ...changes });
  if (after !== text) await store.write(after);
}

/** A key for webhooks. Booking tools take any text. */
export const newKey = (): string => randomBytes(32).toString("hex");

/** A bearer token for posted facts. */
export const newToken = (): string => randomBytes(24).toString("hex");

/** A key of Standard Webhooks. */
export const newStandardKey = (): string => `whsec_${randomBytes(32).toString("base64")}`;

/**
 * The URL to which the tool sends webhooks that it signs with this key. It names the key by a fingerprint, because tools
 * do not show the key of a subscription: an interrupted command then knows its own work, and a new key can get a
 * subscription of its own before the former one ends.
 */
export const callbackUrl = (endpoint: string, key: string): string =>
  `${endpoint}?key=${createHash("sha256").update(key).digest("hex").slice(0, 8)}`;

/** Whether a subscription's URL is the endpoint, with any key. */
export function isAtEndpoint(url: string, endpoint: string): boolean {
  const [parsed, own] = [URL.parse(url), URL.parse(endpoint)];
  return parsed !== null && parsed.origin === own?.origin && parsed.pathname.replace(/\/$/, "") === own.pathname;
}
