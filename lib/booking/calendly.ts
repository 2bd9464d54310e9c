import * as z from "zod";
import { DAY_MS, MINUTE_MS, minutesAfter } from "../domain/time-zone.ts";
import type { Booking } from "../inbound/booking-facts.ts";
import { bookingsOfCalendly } from "../inbound/calendly.ts";
import { instant } from "../inbound/instant.ts";
import { type ReadApi, unexpected } from "./http.ts";
import { listOf } from "./item-list.ts";
import { allByStart, type Page, type Position } from "./pages.ts";
import {
  type BookingTool,
  BookingToolFault,
  type BookingToolSettings,
  type CallBudget,
  type FreeSlots,
  type ListedMeeting,
  type MeetingDetails,
  type TimeRange,
  type Unread,
  versionOf,
} from "./port.ts";

const LIST = "/scheduled_events";
/** The most that a page may have. */
const COUNT = "100";
/** The longest range of available times. */
const RANGE_MS = 31 * DAY_MS;
/** More than any event has: a page holds a hundred invitees. */
const MOST_INVITEE_PAGES = 50;

const pagination = z.object({ next_page_token: z.string().min(1).nullish() });
/** The rest only distinguishes versions and hosts. */
const scheduledEvent = z.object({
  uri: z.string().regex(/\/scheduled_events\/[\w-]+$/, "must be the URI of an event"),
  status: z.enum(["active", "canceled"]),
  start_time: instant,
  end_time: instant,
  updated_at: z.unknown(),
  invitees_counter: z.unknown(),
  event_memberships: z.unknown(),
  event_guests: z.unknown(),
});
type ScheduledEvent = z.infer<typeof scheduledEvent>;

const EVENT_FIELDS = {
  id: ({ uri }: Readonly<Record<string, unknown>>) => lastPartOf(uri),
  startsAt: ({ start_time }: Readonly<Record<string, unknown>>) => start_time,
};
const eventsPage = z.object({ collection: listOf(scheduledEvent, EVENT_FIELDS), pagination });
const invitee = z.looseObject({ uri: z.string().min(1) });
const inviteesPage = z.object({ collection: listOf(invitee, { id: EVENT_FIELDS.id }), pagination });
const eventTypeAnswer = z.object({
  resource: z.object({ duration: z.number().positive(), scheduling_url: z.url().nullish().catch(undefined) }),
});
const availableTime = z.object({ status: z.string(), start_time: instant });
const availableTimes = z.object({ collection: listOf(availableTime) });

/**
 * Calendly's API v2.
 *
 * It lists the events of an organisation (the token of an owner or admin) or of a user by their start. It lists no
 * changes: there is no filter by time of change. An event has no people; its invitees are one call per event, or more if
 * it has over a hundred. A no-show is a property of the invitee and does not change the event. Available times are one
 * call per 31 days. Limits: 500 calls a minute per user, 50 on the free plan.
 *
 * Sources: https://developer.calendly.com/api-docs/calendly-api/scheduled-events/list-scheduled-events,
 * https://developer.calendly.com/api-docs/calendly-api/event-types/list-event-type-available-times and
 * https://developer.calendly.com/api-docs/overview/rate-limits
 */
export function calendly(read: ReadApi, { account, eventType }: BookingToolSettings): BookingTool {
  const events = new WeakMap<ListedMeeting, ScheduledEvent>();
  return {
    name: "calendly",
    listsMissed: false,
    async meetings({ from, to }, budget) {
      const owner = ownerOf(account);
      const { meetings, unread } = await allByStart(LIST, { from, to }, (position) =>
        eventsAt(read, { owner, position, to }, budget),
      );
      for (const { meeting, event } of meetings) events.set(meeting, event);
      return { meetings: meetings.map(({ meeting }) => meeting), unread, rest: [] };
    },
    async details(meeting, budget) {
      const event = events.get(meeting);
      if (!event) throw new BookingToolFault("unexpected_answer", "the meeting is not one that this connection listed");
      return await detailsOf(read, event, budget);
    },
    ...(eventType !== undefined && { freeSlots: (range, budget) => freeSlots(read, eventType, range, budget) }),
  };
}

/** The URI of the account is the value of the parameter that it belongs to. */
function ownerOf(account: string | undefined): Readonly<Record<string, string>> {
  if (account !== undefined && /\/organizations\/[\w-]+$/.test(account)) return { organization: account };
  if (account !== undefined && /\/users\/[\w-]+$/.test(account)) return { user: account };
  throw new BookingToolFault("unauthorised", "the account must be the URI of an organisation or a user of Calendly");
}

interface Listed {
  readonly id: string;
  readonly startsAt: Date;
  readonly meeting: ListedMeeting;
  readonly event: ScheduledEvent;
}

interface Wanted {
  readonly owner: Readonly<Record<string, string>>;
  readonly position: Position;
  readonly to: Date;
}

async function eventsAt(read: ReadApi, { owner, position, to }: Wanted, budget: CallBudget): Promise<Page<Listed>> {
  const query = {
    ...owner,
    // The documentation leaves open whether the limits are included.
    min_start_time: new Date(position.from.getTime() - 1).toISOString(),
    max_start_time: to.toISOString(),
    sort: "start_time:asc",
    count: COUNT,
    page_token: position.next,
  };
  const { collection, pagination } = await read({ path: LIST, query, answer: eventsPage }, budget);
  const meetings = collection.items
    .filter(({ start_time }) => start_time >= position.from)
    .map((event) => ({ id: event.uri, startsAt: event.start_time, meeting: meetingOf(event), event }));
  return { meetings, unread: collection.unread, next: pagination.next_page_token ?? undefined };
}

function meetingOf(event: ScheduledEvent): ListedMeeting {
  const { uri, status, start_time, end_time, updated_at, invitees_counter, event_memberships, event_guests } = event;
  return {
    id: lastPartOf(uri),
    version: versionOf(status, start_time, end_time, updated_at, invitees_counter, event_memberships, event_guests),
    status: status === "active" ? "confirmed" : "cancelled",
    startsAt: start_time,
    endsAt: end_time,
  };
}

async function detailsOf(read: ReadApi, event: ScheduledEvent, budget: CallBudget): Promise<MeetingDetails> {
  const path = `${LIST}/${lastPartOf(event.uri)}/invitees`;
  const scheduled_event = {
    start_time: event.start_time.toISOString(),
    end_time: event.end_time.toISOString(),
    event_memberships: event.event_memberships,
    event_guests: event.event_guests,
  };
  // Keyed by URI: an invitee who joins while pages are read may shift others to the next page.
  const bookings = new Map<string, readonly Booking[]>();
  const unread: Unread[] = [];
  let page_token: string | undefined;
  for (let pages = 0; pages < MOST_INVITEE_PAGES; pages++) {
    const query = { count: COUNT, sort: "created_at:asc", page_token };
    const { collection, pagination } = await read({ path, query, answer: inviteesPage }, budget);
    for (const one of collection.items) {
      bookings.set(one.uri, bookingsOfCalendly({ ...one, scheduled_event }) ?? []);
    }
    unread.push(...collection.unread);
    if (!pagination.next_page_token) return { bookings: [...bookings.values()].flat(), unread };
    page_token = pagination.next_page_token;
  }
  throw unexpected(`GET ${path}`, "the list has no end");
}

async function freeSlots(read: ReadApi, uri: string, { from, to }: TimeRange, budget: CallBudget): Promise<FreeSlots> {
  const path = `/event_types/${encodeURIComponent(lastPartOf(uri))}`;
  const { resource } = await read({ path, answer: eventTypeAnswer }, budget);
  const times = new Map<number, Date>();
  const unread: Unread[] = [];
  // Calendly accepts no start in the past, also if it is when the request arrives.
  let start = from.getTime() + MINUTE_MS;
  while (start < to.getTime()) {
    const end = Math.min(start + RANGE_MS, to.getTime());
    const query = { event_type: uri, start_time: new Date(start).toISOString(), end_time: new Date(end).toISOString() };
    const { collection } = await read({ path: "/event_type_available_times", query, answer: availableTimes }, budget);
    for (const { status, start_time } of collection.items) {
      if (status === "available" && start_time < to) times.set(start_time.getTime(), start_time);
    }
    unread.push(...collection.unread);
    start = end;
  }
  const sorted = [...times.values()].sort((one, other) => one.getTime() - other.getTime());
  return {
    times: sorted.map((startsAt) => ({ startsAt, endsAt: minutesAfter(startsAt, resource.duration) })),
    bookingUrl: resource.scheduling_url ?? undefined,
    unread,
  };
}

/** The text after the last slash. Empty for what is no text. */
const lastPartOf = (uri: unknown): string => (typeof uri === "string" ? uri.slice(uri.lastIndexOf("/") + 1) : "");
