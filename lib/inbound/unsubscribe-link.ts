import { createHmac, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import type { Fact } from "./facts.ts";
import { instant } from "./instant.ts";
import type { TranslatedFact } from "./translation.ts";

/** The keys that sign unsubscribe links: JSON of the stage's secret. */
export const unsubscribeKeys = z.object({
  /** Signs new links. */
  current: z.string().min(32, "must have at least 32 characters"),
  /** Links of replaced keys are valid until the instant. */
  former: z.array(z.object({ key: z.string().min(1), until: instant })).default([]),
});
export type UnsubscribeKeys = z.infer<typeof unsubscribeKeys>;

/** The touch that a link belongs to. Ids are UUIDs. */
export interface TouchOfLink {
  readonly workspaceId: string;
  readonly touchId: string;
}

/** Separates these signatures from any other use of the key. */
const PURPOSE = "backstop/unsubscribe/1\0";
const ID_BYTES = 16;
const SIGNATURE_BYTES = 16;
/**
 * The last character. Programs that make links clickable may leave out a `-` at the end: Android's `Patterns.WEB_URL`
 * ends at a word boundary.
 */
const END = "u";
/** 48 bytes are 64 characters without spare bits, so a token has one spelling. */
const TOKEN = new RegExp(`^[A-Za-z0-9_-]{${((2 * ID_BYTES + SIGNATURE_BYTES) / 3) * 4}}${END}$`);

/** The token of a touch: 65 URL-safe characters, which contain ids and a signature, and nothing about the person. */
export function unsubscribeToken({ workspaceId, touchId }: TouchOfLink, key: string): string {
  const ids = Buffer.concat([bytesOf(workspaceId), bytesOf(touchId)]);
  return Buffer.concat([ids, signatureOf(ids, key)]).toString("base64url") + END;
}

/**
 * The touch of a token; undefined unless a valid key signed exactly this text. Takes the same time for every token of
 * the right length.
 */
export function readUnsubscribeToken(token: string, keys: UnsubscribeKeys, now: Date): TouchOfLink | undefined {
  if (!TOKEN.test(token)) return undefined;
  const bytes = Buffer.from(token.slice(0, -END.length), "base64url");
  const ids = bytes.subarray(0, 2 * ID_BYTES);
  const signature = bytes.subarray(2 * ID_BYTES);
  const valid = [keys.current, ...keys.former.filter(({ until }) => now < until).map(({ key }) => key)];
  const matches = valid.map((key) => timingSafeEqual(signature, signatureOf(ids, key)));
  if (!matches.includes(true)) return undefined;
  return { workspaceId: uuidOf(ids.subarray(0, ID_BYTES)), touchId: uuidOf(ids.subarray(ID_BYTES)) };
}

/** Mails are kept and read for long: links of a replaced key stay valid for this many months. */
const MONTHS_VALID = 13;

/** The keys after `next` has replaced the current one. Leaves out keys whose time is over. */
export function withNextKey({ current, former }: UnsubscribeKeys, next: string, now: Date): UnsubscribeKeys {
  const until = new Date(now);
  until.setUTCMonth(until.getUTCMonth() + MONTHS_VALID);
  return { current: next, former: [{ key: current, until }, ...former.filter((each) => now < each.until)] };
}

const signatureOf = (ids: Buffer, key: string): Buffer =>
  createHmac("sha256", key).update(PURPOSE).update(ids).digest().subarray(0, SIGNATURE_BYTES);

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function bytesOf(id: string): Buffer {
  if (!UUID.test(id)) throw new Error("an unsubscribe link needs UUIDs");
  return Buffer.from(id.replaceAll("-", ""), "hex");
}

const uuidOf = (bytes: Buffer): string =>
  bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

const EVENT_ID_PREFIX = "unsubscribe:";

/**
 * The opt-out by the link of a touch. The event id has the time: who opts in again can opt out again by the same link. A
 * second opt-out changes nothing.
 */
export function optOutByLink({ workspaceId, touchId }: TouchOfLink, at: Date): TranslatedFact {
  const occurredAt = at.toISOString();
  const eventId = `${EVENT_ID_PREFIX}${touchId}:${occurredAt}`;
  return { type: "lead.opted_out", detail: { workspaceId, eventId, occurredAt, lead: { touch: touchId } } };
}

/** Whether a fact is an opt-out by link. Its touch existed: the link was signed. */
export const isByLink = ({ type, eventId }: Fact): boolean =>
  type === "lead.opted_out" && eventId.startsWith(EVENT_ID_PREFIX);
