import * as z from "zod";
import type { BookingToolName } from "../domain/labels.ts";
import { faultsOf, jsonOf } from "../inbound/json.ts";
import { SECRET_CACHED_MS, secretReader } from "./secrets.ts";
import { errorName, Unavailable, unavailable } from "./unavailable.ts";

/** The systems that send facts over HTTP, as in their URLs and in the names of their secrets. */
export const TOOLS = ["calendly", "calcom", "facts"] as const;
export type Tool = (typeof TOOLS)[number];

/** The systems that a workspace may be connected with. */
export type ConnectedTool = Tool | BookingToolName;

/** Two are valid while one replaces the other. */
const keys = z.array(z.string().min(1)).max(2);

/** The secret of a workspace's connection with a tool. */
const connectionSecret = z
  .object({
    /** The keys that sign webhooks. For `facts` they are those of Standard Webhooks, `whsec_` and base64. */
    signingKeys: keys.default([]),
    /** For `facts`: the tokens of senders that cannot sign. */
    bearerTokens: z.array(z.string().min(16)).max(2).default([]),
    /** The account of the tool, as its API names it. */
    account: z.string().optional(),
    /** The webhook subscription, as the tool's API names it. */
    subscription: z.string().optional(),
    /** The token for the tool's API. With it, the tool's meetings are compared with what webhooks reported. */
    apiToken: z.string().min(1).optional(),
    /** Where the API is, if not at the tool's public address. */
    apiUrl: z.url({ protocol: /^https?$/ }).optional(),
    /** The event type whose free times texts offer. Calendly: its URI. Cal.com: its id. */
    eventType: z.string().min(1).optional(),
    /** Addresses of the team, or domains with a leading `@`. Their meetings are found by no sweep. */
    ownAddresses: z.array(z.string().regex(/@/, "must be an address, or a domain after @")).max(100).default([]),
  })
  .refine(({ signingKeys, bearerTokens, apiToken }) => signingKeys.length + bearerTokens.length > 0 || apiToken, {
    error: "must have a signing key, a bearer token or an API token",
  });
export type ConnectionSecret = z.infer<typeof connectionSecret>;

/** A person must correct the secret. */
export class InvalidConnectionSecret extends Unavailable {}

const factsSecret = connectionSecret
  .refine(({ signingKeys }) => signingKeys.every((key) => /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(key)), {
    path: ["signingKeys"],
    error: "must be whsec_ and base64",
  })
  .refine(({ signingKeys, bearerTokens }) => signingKeys.length + bearerTokens.length > 0, {
    error: "must have a signing key or a bearer token",
  });

/** The name of the secret in Secrets Manager. `prefix` is `backstop/<stage>`. */
export const connectionSecretName = (prefix: string, workspaceId: string, tool: ConnectedTool): string =>
  `${prefix}/${workspaceId}/${tool}`;

/**
 * The secret of a connection, read at most `maxAgeMs` ago. Undefined if there is none. Throws Unavailable if it cannot
 * be read, and InvalidConnectionSecret if it is not valid.
 */
export type ConnectionSecrets<Connected extends ConnectedTool = Tool> = (
  workspaceId: string,
  tool: Connected,
  maxAgeMs?: number,
) => Promise<ConnectionSecret | undefined>;

/** Shorter, because a workspace may be connected any time. */
const UNKNOWN_CACHED_MS = 60_000;
/** More connections than one process serves in five minutes. */
const MOST_CACHED = 1_000;

/** The text of a secret by name. Undefined if there is none. */
type ReadSecret = (name: string) => Promise<string | undefined>;

interface Cached {
  readonly secret: Promise<ConnectionSecret | undefined>;
  /** Until then it is valid at all. */
  until: number;
  /** When it was last read, or could not be read again. */
  checkedAt: number;
}

/**
 * Secrets in Secrets Manager, cached for five minutes; that there is none, for one minute. A failed look-up leaves what
 * was cached before.
 */
export function storedConnectionSecrets(
  prefix: string,
  read: ReadSecret = secretIfThere(),
  clock: () => number = Date.now,
): ConnectionSecrets<ConnectedTool> {
  const cache = new Map<string, Cached>();
  return (workspaceId, tool, maxAgeMs = SECRET_CACHED_MS) => {
    const name = connectionSecretName(prefix, workspaceId, tool);
    const now = clock();
    const before = cache.get(name);
    if (before && now < Math.min(before.until, before.checkedAt + maxAgeMs)) return before.secret;
    const fetched: Cached = { secret: fetchParsed(name, tool, read), until: now + SECRET_CACHED_MS, checkedAt: now };
    // Deleted first, so that the first entry is the oldest.
    cache.delete(name);
    cache.set(name, fetched);
    for (const oldest of cache.keys()) if (cache.size > MOST_CACHED) cache.delete(oldest);
    fetched.secret.then(
      (secret) => {
        if (secret === undefined) fetched.until = now + UNKNOWN_CACHED_MS;
      },
      () => {
        if (cache.get(name) !== fetched) return;
        if (before) cache.set(name, { ...before, checkedAt: now });
        else cache.delete(name);
      },
    );
    return fetched.secret;
  };
}

async function fetchParsed(name: string, tool: ConnectedTool, read: ReadSecret): Promise<ConnectionSecret | undefined> {
  const text = await read(name);
  return text === undefined ? undefined : connectionSecretIn(text, name, tool);
}

/** The parsed text of a secret. Throws Unavailable, which names each fault and no value, if it is not valid. */
export const connectionSecretIn = (text: string, name: string, tool: ConnectedTool): ConnectionSecret =>
  parse(name, tool, jsonOf(text));

/** Names each fault, never a value. */
function parse(name: string, tool: ConnectedTool, secret: unknown): ConnectionSecret {
  const parsed = (tool === "facts" ? factsSecret : connectionSecret).safeParse(secret);
  if (parsed.success) return parsed.data;
  throw new InvalidConnectionSecret(`the secret ${name} is not valid: ${faultsOf(parsed.error).join("; ")}`);
}

/** Errors of Secrets Manager for a secret that does not exist, or that is scheduled for deletion. */
const ABSENT: ReadonlySet<string> = new Set(["ResourceNotFoundException", "InvalidRequestException"]);

function secretIfThere(): ReadSecret {
  const fetchSecret = secretReader();
  return (name) =>
    fetchSecret(name).catch((thrown: unknown) => {
      if (ABSENT.has(errorName(thrown))) return undefined;
      throw unavailable(`the secret ${name} cannot be read`, thrown);
    });
}

/** The local substitute for Secrets Manager: `{ "<workspace id>/<tool>": { … } }`. */
export const localConnections = z.record(z.string(), z.unknown());
export type LocalConnections = z.infer<typeof localConnections>;

/** Secrets that are given, for local use. */
export const givenConnectionSecrets =
  (connections: LocalConnections): ConnectionSecrets<ConnectedTool> =>
  async (workspaceId, tool) => {
    const name = `${workspaceId}/${tool}`;
    return connections[name] === undefined ? undefined : parse(name, tool, connections[name]);
  };
