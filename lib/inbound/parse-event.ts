import { createHash } from "node:crypto";
import * as z from "zod";
import { readMeetingTimes } from "../domain/meeting.ts";
import { isRecord } from "../domain/record.ts";
import { asSchemasWrite } from "./as-sent.ts";
import { FACT_SCHEMAS, type Fact, type FactType, isFactType, LEAD_REFERENCE, stops } from "./facts.ts";
import { faultsOf, jsonOf } from "./json.ts";

/** A thousand leads fit easily. */
export const LARGEST_EVENT_BYTES = 256 * 1024;

/** The fields of an EventBridge event that are used here. */
const envelope = z.object({ "detail-type": z.string(), detail: z.unknown() });

type ParsedEvent = { readonly ok: true; readonly fact: Fact } | { readonly ok: false; readonly reason: string };

/**
 * Parses an event of the bus. An invalid fact is repaired if it stops something and names the lead; otherwise it is
 * refused. The reason lists all faults and no values.
 */
export function parseEvent(body: string): ParsedEvent {
  if (Buffer.byteLength(body) > LARGEST_EVENT_BYTES) return invalid(`larger than ${LARGEST_EVENT_BYTES} bytes`);
  const json = jsonOf(body);
  if (json === undefined) return invalid("not JSON");
  const event = envelope.safeParse(json);
  if (!event.success) return invalid(`not an event of EventBridge: ${faultsOf(event.error).join("; ")}`);
  const { "detail-type": type, detail } = event.data;
  if (!isFactType(type)) {
    const known = Object.keys(FACT_SCHEMAS).join(", ");
    return invalid(`there is no detail-type ${JSON.stringify(type.slice(0, 100))}; known are ${known}`);
  }
  const parsed = parseFact(type, detail);
  return parsed.ok ? parsed : invalid(`detail: ${parsed.faults.join("; ")}`);
}

type ParsedFact =
  | { readonly ok: true; readonly fact: Fact }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Parses the detail of a fact, and repairs it as `parseEvent` does. */
export function parseFact(type: FactType, detail: unknown): ParsedFact {
  if (isDeeperThan(DEEPEST, detail)) return { ok: false, faults: [`is nested more than ${DEEPEST} levels deep`] };
  const parsed = FACT_SCHEMAS[type].safeParse(asSchemasWrite(detail));
  if (parsed.success) return { ok: true, fact: { ...parsed.data, type, warnings: [] } as Fact };
  const repaired = repair(type, detail);
  const again = FACT_SCHEMAS[type].safeParse(repaired?.detail);
  if (!repaired || !again.success) return { ok: false, faults: faultsOf(parsed.error) };
  return { ok: true, fact: { ...again.data, type, warnings: repaired.warnings } as Fact };
}

/** Far deeper than any fact. Without a limit, nesting could exhaust the stack. */
const DEEPEST = 100;

function isDeeperThan(levels: number, value: unknown): boolean {
  if (!isObject(value)) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeperThan(levels - 1, inner));
}

const invalid = (reason: string): ParsedEvent => ({ ok: false, reason });

interface Repaired {
  readonly detail: Readonly<Record<string, unknown>>;
  /** Repairs, without values. */
  readonly warnings: readonly string[];
}

/**
 * Returns the usable part of a stopping fact: unknown or unreadable fields are dropped or replaced, with a warning. The
 * lead's keys are never invented. Undefined if the type or the detail allows no repair.
 */
function repair(type: FactType, detail: unknown): Repaired | undefined {
  if (!stops(type) || !isRecord(detail)) return undefined;
  const warnings: string[] = [];
  const known = knownKeys(detail, Object.keys(FACT_SCHEMAS[type].shape), "", warnings);
  const eventId = idOf(detail["eventId"], "eventId", warnings) ?? `sha256:${sha256(JSON.stringify(detail))}`;
  const repaired = {
    ...known,
    eventId,
    occurredAt: occurredAtOf(detail["occurredAt"], warnings),
    lead: referenceOf(detail["lead"], warnings),
  };
  if (type === "lead.bounced")
    return { detail: { ...repaired, kind: bounceKindOf(detail["kind"], warnings) }, warnings };
  if (type === "lead.opted_out")
    return { detail: { ...repaired, channel: channelOf(detail["channel"], warnings) }, warnings };
  if (!("meeting" in FACT_SCHEMAS[type].shape)) return { detail: repaired, warnings };
  const meeting = meetingOf(detail["meeting"], eventId, warnings);
  const { replaces, ...others } = known;
  const former = isSent(replaces) ? idOf(replaces, "replaces", warnings) : undefined;
  const ofMeeting = { meeting, ...(former !== undefined && { replaces: former }) };
  return { detail: { ...others, ...repaired, ...ofMeeting }, warnings };
}

/** Later than any receipt: an event from the future counts from its time of receipt. */
const AT_RECEIPT = "2199-12-31T23:59:59Z";

function occurredAtOf(sent: unknown, warnings: string[]): unknown {
  const { times, assumed } = readMeetingTimes({ startsAt: sent, durationMinutes: 1 });
  if (times && assumed.length === 0) return times.startsAt.toISOString();
  warnings.push("occurredAt: cannot be read as an instant; the time of receipt counts");
  return AT_RECEIPT;
}

function referenceOf(sent: unknown, warnings: string[]): unknown {
  if (!isRecord(sent)) return sent;
  const known = knownKeys(sent, Object.keys(LEAD_REFERENCE), "lead: ", warnings);
  return Object.fromEntries(
    Object.entries(known).flatMap(([key, value]) => {
      if (!isSent(value)) return [];
      const text = typeof value === "number" ? String(value) : value;
      const { success } = LEAD_REFERENCE[key as keyof typeof LEAD_REFERENCE].safeParse(text);
      if (!success) warnings.push(`lead.${key}: is invalid and was ignored`);
      return success ? [[key, text]] : [];
    }),
  );
}

const BOUNCE_KINDS = new Map([
  ["permanent", "permanent"],
  ["hard", "permanent"],
  ["transient", "transient"],
  ["soft", "transient"],
]);

/** An unreadable kind counts as permanent: that stops the most. */
function bounceKindOf(sent: unknown, warnings: string[]): unknown {
  const kind = typeof sent === "string" ? BOUNCE_KINDS.get(sent.toLowerCase()) : undefined;
  if (kind === undefined) warnings.push("kind: is neither permanent nor transient; it counts as permanent");
  return kind ?? "permanent";
}

function channelOf(sent: unknown, warnings: string[]): unknown {
  if (!isSent(sent) || FACT_SCHEMAS["lead.opted_out"].shape.channel.safeParse(sent).success) return sent || undefined;
  warnings.push("channel: is unknown and was ignored");
  return undefined;
}

const TIME_KEYS = ["startsAt", "endsAt", "durationMinutes", "duration", "length", "timeZone"];

function meetingOf(sent: unknown, eventId: string, warnings: string[]): unknown {
  const given = isRecord(sent) ? sent : {};
  const known = knownKeys(given, ["id", ...TIME_KEYS], "meeting: ", warnings);
  const id = idOf(known["id"], "meeting.id", warnings) ?? `event:${eventId}`.slice(0, 200);
  const minutes = known["durationMinutes"] ?? known["duration"] ?? known["length"];
  const { times, assumed } = readMeetingTimes({ ...known, durationMinutes: minutes });
  warnings.push(...assumed.map((what) => `meeting: ${what}`));
  const text = (time: Date | undefined) => time?.toISOString() ?? null;
  return { id, startsAt: text(times?.startsAt), endsAt: text(times?.endsAt) };
}

/** Deterministic, so that redeliveries and later facts about the same value match. */
function idOf(sent: unknown, where: string, warnings: string[]): string | undefined {
  const text = typeof sent === "number" ? String(sent) : sent;
  if (typeof text === "string" && FACT_SCHEMAS["lead.replied"].shape.eventId.safeParse(text).success) return text;
  const isText = typeof text === "string" && text !== "";
  warnings.push(
    `${where}: ${isText ? "is invalid, so its fingerprint" : "is missing, so an id derived from the event"} was used`,
  );
  return isText ? `sha256:${sha256(text)}` : undefined;
}

/** Names an unknown key only if it looks like an identifier: it may be an address. */
function knownKeys(
  sent: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  where: string,
  warnings: string[],
): Record<string, unknown> {
  const unknown = Object.keys(sent).filter((key) => !keys.includes(key));
  for (const key of unknown.slice(0, MOST_NAMED)) {
    const name = /^[A-Za-z][A-Za-z0-9_]{0,39}$/.test(key) ? `unknown key ${key}` : "unknown key";
    warnings.push(`${where}${name} was ignored`);
  }
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(sent, key)).map((key) => [key, sent[key]]));
}

const MOST_NAMED = 10;
const isSent = (value: unknown): boolean => value !== undefined && value !== null && value !== "";
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
