import { setTimeout as pause } from "node:timers/promises";
import { isSafe } from "../../lib/booking/http.ts";
import type { ConnectionSecret } from "../../lib/platform/connection-secrets.ts";
import { REFRESH_AFTER_MS } from "../../lib/platform/fact-routes.ts";
import { Problem, UsageProblem } from "../problem.ts";
import type { Accounts, ConnectableTool, EventType, Scope, Subscription, SubscriptionApi } from "./booking-tool.ts";
import {
  type Connection,
  callbackUrl,
  connectedSecret,
  InvalidSecret,
  isAtEndpoint,
  newKey,
  storedSecret,
  storeSecret,
} from "./connection.ts";
import { ToolApi } from "./tool-api.ts";

interface Wanted {
  readonly scope: Scope | undefined;
  /** The event type whose free times texts offer, as a person names it. Undefined: as before. */
  readonly eventType?: string | undefined;
  /** Replaces the key, unless a rotation was started before. */
  readonly rotate: boolean;
  /** Asks a person for the API token. */
  readonly askToken: () => Promise<string>;
  readonly say: (line: string) => void;
  readonly wait?: (ms: number) => Promise<unknown>;
}

/** A new key is valid once every copy of the secret is old enough to be read again. */
const UNTIL_KEY_IS_VALID_MS = REFRESH_AFTER_MS + 5_000;

/**
 * Connects a workspace with a booking tool. The key is stored before the tool gets it, so that each webhook finds a valid
 * key. Every step is found done by a repeated command, which continues after an interruption.
 */
export async function connectBookingTool(connection: Connection, tool: ConnectableTool, wanted: Wanted): Promise<void> {
  const { say } = wanted;
  const before = await storedSecret(connection);
  const { token, isNew } = await tokenFor(tool, before, wanted.askToken);
  const apiUrl = apiUrlOf(tool, before);
  const api = apiOf(tool, token, before);
  const account = accountFor(tool, await api.accounts(), before, wanted.scope);
  const name = wanted.eventType;
  const eventType = name === undefined ? before?.eventType : await eventTypeNamed(tool, api, { account, name });
  if (isNew) {
    say(`The API token of ${tool.name} is stored in the secret ${connection.store.name}, with the key that signs`);
    say("webhooks: --check needs it, and so does a sweep of the calendar.");
  }
  const keys = keysAfter(before, wanted.rotate);
  const optional = { ...(apiUrl && { apiUrl }), ...(eventType && { eventType }) };
  await storeSecret(connection, { signingKeys: [...keys], account, apiToken: token, ...optional });
  say(`${connection.store.name}: ${before ? "up to date" : "stored"}`);
  if (before && keys[0] !== before.signingKeys[0]) {
    say(`Waiting ${UNTIL_KEY_IS_VALID_MS / 1_000} s until the stage accepts the new key.`);
    await (wanted.wait ?? pause)(UNTIL_KEY_IS_VALID_MS);
  }
  await subscribeOnce(connection, tool, api, { account, key: keys[0] ?? "", former: before?.subscription }, say);
  if (keys.length > 1) say(`The former key is still valid. Remove it tomorrow: add --drop-former instead of --rotate.`);
  say(eventType ? `Texts can offer the free times of ${eventType}` : await eventTypeAdvice(tool, api, account));
}

/** The token of the environment, else the stored one, else one that a person types. */
async function tokenFor(
  { tokenVariable }: ConnectableTool,
  before: ConnectionSecret | undefined,
  ask: Wanted["askToken"],
): Promise<{ readonly token: string; readonly isNew: boolean }> {
  const token = process.env[tokenVariable]?.trim() || before?.apiToken || (await ask());
  return { token, isNew: token !== before?.apiToken };
}

/** Where the API is: as the environment says, else as stored. The token is for no other place, and never without TLS. */
function apiUrlOf({ urlVariable }: ConnectableTool, before: ConnectionSecret | undefined): string | undefined {
  const url = process.env[urlVariable]?.trim() || before?.apiUrl;
  if (url === undefined || isSafe(url)) return url?.replace(/\/+$/, "");
  throw new UsageProblem(`${urlVariable}: must begin with https://`);
}

/** The API of the tool, where `apiUrlOf` says. */
export const apiOf = (tool: ConnectableTool, token: string, before: ConnectionSecret | undefined): SubscriptionApi =>
  tool.subscriptions(new ToolApi(tool, token, apiUrlOf(tool, before)));

/**
 * The account whose meetings are reported. Refuses a token of another account, because its bookings belong elsewhere.
 */
function accountFor(
  { name, usualScope }: ConnectableTool,
  accounts: Accounts,
  before: ConnectionSecret | undefined,
  scope: Scope | undefined,
): string {
  const known = before?.account;
  if (known !== undefined && !Object.values(accounts).includes(known)) {
    throw new Problem(
      `the workspace is connected with another account of ${name} (${known}): use a token of that account, or end the connection with --remove`,
    );
  }
  const account = scope === undefined ? (known ?? accounts[usualScope]) : accounts[scope];
  if (account !== undefined) return account;
  throw new Problem(`the account of the token belongs to no organization of ${name}: use --scope user`);
}

/** Continues a rotation that was started, because both keys may be in use. */
function keysAfter(before: ConnectionSecret | undefined, rotate: boolean): readonly string[] {
  const keys = before?.signingKeys ?? [];
  if (keys.length === 0) return [newKey()];
  return rotate && keys.length === 1 ? [newKey(), ...keys] : keys;
}

interface Target {
  readonly account: string;
  readonly key: string;
  /** The subscription that the secret named before. */
  readonly former: string | undefined;
}

/** Leaves exactly one subscription of this connection: active, with all events, and signed with the key. */
async function subscribeOnce(
  connection: Connection,
  tool: ConnectableTool,
  api: SubscriptionApi,
  { account, key, former }: Target,
  say: Wanted["say"],
): Promise<void> {
  const url = callbackUrl(connection.endpoint, key);
  const found = await api.list(account);
  const isWanted = (one: Subscription) => one.url === url && one.account === account && isComplete(one, tool.events);
  const existing = found.find(isWanted);
  // A tool accepts a URL once.
  for (const broken of found) if (broken.url === url && broken !== existing) await api.remove(broken);
  const subscription = existing ?? (await api.create({ account, url, key }));
  say(`${tool.name} sends webhooks to ${url}${existing ? "" : ", from now on"}`);
  await storeSecret(connection, { subscription: subscription.id });
  const others = found.filter(
    (one) => one.url !== url && (isAtEndpoint(one.url, connection.endpoint) || one.id === former),
  );
  for (const other of others) await api.remove(other);
  if (others.length > 0) say(`Replaced subscriptions of ${tool.name}: ${others.length}`);
}

/** Whether a subscription reports all that concerns meetings. */
export const isComplete = ({ isActive, events }: Subscription, wanted: readonly string[]): boolean =>
  isActive && wanted.every((event) => events.includes(event));

/** Makes the former key invalid. Refuses while the tool may still use it. */
export async function dropFormerKey(
  connection: Connection,
  tool: ConnectableTool,
  { askToken, say }: Pick<Wanted, "askToken" | "say">,
): Promise<void> {
  const secret = await connectedSecret(connection);
  const [key = "", former] = secret.signingKeys;
  if (former === undefined) return say("There is no former key.");
  const { token } = await tokenFor(tool, secret, askToken);
  const found = await apiOf(tool, token, secret).list(secret.account ?? "");
  if (!found.some((one) => one.url === callbackUrl(connection.endpoint, key) && isComplete(one, tool.events))) {
    throw new Problem(`${tool.name} does not use the new key yet: run connect ${connection.tool} first`);
  }
  await storeSecret(connection, { signingKeys: [key] });
  say("The former key is removed. It is invalid within five minutes.");
}

/** Ends a connection: first the subscription, then the secret, so that a repeated command can continue. */
export async function disconnectBookingTool(
  connection: Connection,
  tool: ConnectableTool,
  { askToken, say }: Pick<Wanted, "askToken" | "say">,
): Promise<void> {
  const before = await storedSecret(connection).catch((thrown: unknown) => {
    // It is removed, too.
    if (thrown instanceof InvalidSecret) return undefined;
    throw thrown;
  });
  const { token } = await tokenFor(tool, before, askToken);
  const api = apiOf(tool, token, before);
  const accounts = await api.accounts();
  const found = await api.list(before?.account ?? accounts[tool.usualScope] ?? accounts.user ?? "");
  const own = found.filter(({ url, id }) => isAtEndpoint(url, connection.endpoint) || id === before?.subscription);
  for (const one of own) await api.remove(one);
  say(`Removed subscriptions of ${tool.name}: ${own.length}`);
  await connection.store.remove();
  say(`${connection.store.name} is deleted after seven days.`);
}

interface WantedEventType {
  readonly account: string;
  /** The id, the booking page or the name of an event type, as a person wrote it. */
  readonly name: string;
}

/** The id of the event type that a person named. Throws a Problem with the candidates if it is not exactly one. */
async function eventTypeNamed(
  tool: ConnectableTool,
  api: SubscriptionApi,
  { account, name }: WantedEventType,
): Promise<string> {
  const all = await api.eventTypes(account);
  const found = all.filter((one) => namesOf(one).includes(comparable(name)));
  const [only] = found;
  if (only && found.length === 1) return only.id;
  const fault = found.length === 0 ? "is no active event type" : "may be one of several event types";
  const candidates = listOf(found.length === 0 ? all : found);
  throw new Problem(
    [`"${name}" ${fault} of ${account} at ${tool.name}. Use --event-type with one of:`, candidates].join("\n"),
  );
}

/** How to offer free times. Without the right to list event types, says so instead of throwing. */
async function eventTypeAdvice(tool: ConnectableTool, api: SubscriptionApi, account: string): Promise<string> {
  const purpose = "Texts offer no free times yet.";
  try {
    const all = await api.eventTypes(account);
    if (all.length === 0) return `${purpose} The account has no active event type.`;
    return [`${purpose} To offer some, repeat the command with --event-type and one of:`, listOf(all)].join("\n");
  } catch (thrown) {
    if (!(thrown instanceof Problem)) throw thrown;
    return `${purpose} To offer some, the token must be able to list event types (docs/connect.md): ${tool.name} refused.`;
  }
}

/** An id is also known by its last part, as in the URLs of the tool's own pages. */
const namesOf = ({ id, name, url }: EventType): readonly string[] =>
  [id, id.slice(id.lastIndexOf("/") + 1), name, url ?? id].map(comparable);

const comparable = (text: string): string => text.trim().toLowerCase().replace(/\/+$/, "");

/** More would not fit on a screen. */
const MOST_LISTED = 30;

function listOf(all: readonly EventType[]): string {
  const lines = all.slice(0, MOST_LISTED).map(({ id, name, url }) => `  ${id}  ${name}${url ? `  ${url}` : ""}`);
  const more = all.length - lines.length;
  return (more > 0 ? [...lines, `  and ${more} more`] : lines).join("\n");
}
