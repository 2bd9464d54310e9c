import { daysAfter } from "../domain/time-zone.ts";
import { LONGEST_BOOKING_URL, MOST_FREE_TIMES } from "../inbound/free-times-schema.ts";
import type { TranslatedFact } from "../inbound/translation.ts";
import type { BookingTool, CallBudget, Unread } from "./port.ts";

/** Each tool answers a range of this length in one call. Few people want a later meeting. */
const DAYS_AHEAD = 14;

interface FoundTimes {
  readonly fact: TranslatedFact;
  /** Times that the tool gave and that cannot be read. They are not offered. */
  readonly unread: readonly Unread[];
}

/**
 * The free times of a connection as a fact; undefined if its tool offers none. Rejects as the port does. The fact is dated
 * before the first call: a meeting booked during the calls counts as unknown to it.
 */
export async function freeTimesOf(
  tool: BookingTool,
  { workspaceId, now }: { readonly workspaceId: string; readonly now: Date },
  budget: CallBudget,
): Promise<FoundTimes | undefined> {
  if (!tool.freeSlots) return undefined;
  const range = { from: now, to: daysAfter(now, DAYS_AHEAD) };
  const { times, bookingUrl, unread } = await tool.freeSlots(range, budget);
  const occurredAt = now.toISOString();
  const slots = times.slice(0, MOST_FREE_TIMES).map(({ startsAt, endsAt }) => ({
    startsAt: startsAt.toISOString(),
    endsAt: endsAt.toISOString(),
  }));
  const eventId = `availability:${tool.name}:${occurredAt}`;
  const detail = { workspaceId, eventId, occurredAt, tool: tool.name, slots, bookingUrl: linkOf(bookingUrl) };
  return { fact: { type: "connection.availability", detail }, unread };
}

/** In ASCII. Without a usable link, times are still worth offering. */
function linkOf(bookingUrl: string | undefined): string | null {
  const url = bookingUrl === undefined ? null : URL.parse(bookingUrl);
  return url?.protocol === "https:" && url.href.length <= LONGEST_BOOKING_URL ? url.href : null;
}
