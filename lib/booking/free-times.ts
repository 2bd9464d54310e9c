import { daysAfter, minutesAfter } from "../domain/time-zone.ts";
import { LONGEST_BOOKING_URL, MOST_FREE_TIMES } from "../inbound/free-times-schema.ts";
import type { TranslatedFact } from "../inbound/translation.ts";
import type { BookingTool, CallBudget } from "./port.ts";

/** One range of every tool, and further ahead than people like to be offered a meeting. */
const DAYS_AHEAD = 14;

/**
 * The free times of a connection as a fact; undefined if its tool offers none. Rejects as the port does. The fact is dated
 * before the first call: a meeting booked during the calls counts as unknown to it.
 */
export async function freeTimesOf(
  tool: BookingTool,
  { workspaceId, now }: { readonly workspaceId: string; readonly now: Date },
  budget: CallBudget,
): Promise<TranslatedFact | undefined> {
  if (!tool.freeSlots) return undefined;
  const { times, minutes, bookingUrl } = await tool.freeSlots({ from: now, to: daysAfter(now, DAYS_AHEAD) }, budget);
  const occurredAt = now.toISOString();
  const slots = times.slice(0, MOST_FREE_TIMES).map((startsAt) => ({
    startsAt: startsAt.toISOString(),
    endsAt: minutesAfter(startsAt, minutes).toISOString(),
  }));
  const eventId = `availability:${tool.name}:${occurredAt}`;
  const detail = { workspaceId, eventId, occurredAt, tool: tool.name, slots, bookingUrl: linkOf(bookingUrl) };
  return { type: "connection.availability", detail };
}

/** In ASCII. Without a usable link, times are still worth offering. */
function linkOf(bookingUrl: string | undefined): string | null {
  const url = bookingUrl === undefined ? null : URL.parse(bookingUrl);
  return url?.protocol === "https:" && url.href.length <= LONGEST_BOOKING_URL ? url.href : null;
}
