import * as z from "zod";
import { DAY_MS } from "../domain/time-zone.ts";
import { type Booking, meetingId, personOf } from "../inbound/booking-facts.ts";
import { instant } from "../inbound/instant.ts";
import { type ReadApi, readIfThere } from "./http.ts";
import { listOf } from "./item-list.ts";
import type { Listed } from "./pages.ts";
import {
  type BookingTool,
  BookingToolFault,
  type BookingToolSettings,
  type CallBudget,
  type ListedMeeting,
  type ListParts,
  type MeetingStatus,
  type TimeRange,
  type Unread,
  unreadBecause,
  versionOf,
} from "./port.ts";

/** One part of a list. Few enough for 100 calls in 10 seconds. */
const CALENDARS_AT_ONCE = 5;
const VERSIONS = { calendars: "2021-04-15", contacts: "2021-07-28" } as const;

const STATUS = {
  new: "tentative",
  confirmed: "confirmed",
  active: "confirmed",
  showed: "confirmed",
  completed: "confirmed",
  cancelled: "cancelled",
  invalid: "cancelled",
  noshow: "missed",
} as const satisfies Readonly<Record<string, MeetingStatus>>;
const STATUSES = Object.keys(STATUS) as (keyof typeof STATUS)[];

const usefulTime = instant.optional().catch(undefined);
const appointment = z.object({
  id: z.string().min(1),
  contactId: z.string().min(1),
  appointmentStatus: z.string().toLowerCase().pipe(z.enum(STATUSES)),
  startTime: instant,
  endTime: instant,
  dateAdded: usefulTime,
  dateUpdated: usefulTime,
});
type Appointment = z.infer<typeof appointment>;

/** Events of linked calendars and blocked times have no contact. */
const isWithout = z.looseObject({ contactId: z.literal("").nullish() });
const eventsAnswer = z.object({
  events: z
    .array(z.unknown())
    .transform((events) => events.filter((event) => !isWithout.safeParse(event).success))
    .pipe(listOf(appointment, { id: ({ id }) => id, startsAt: ({ startTime }) => startTime })),
});
const calendar = z.object({ id: z.string().regex(/^[\w-]+$/) });
const calendarsAnswer = z.object({ calendars: listOf(calendar, { id: ({ id }) => id }) });
const contactAnswer = z.object({ contact: z.object({ email: z.string().nullish(), phone: z.string().nullish() }) });

/** Answers to the id of a contact that was deleted. */
const NO_SUCH_CONTACT = [400, 404, 422];

/**
 * GoHighLevel's API v2.
 *
 * It lists the appointments of one calendar, user or group in a range of time, without pages and without changes. A
 * sweep costs one call per calendar of the location, and one for the list of calendars. A part of a list is a few
 * calendars, because a location may have more than one run may read. An appointment names a contact only by id; the
 * contact is one call. A meeting that moves keeps its id. Limits: 100 calls in 10 seconds and 200,000 a day per location.
 *
 * Sources: https://marketplace.gohighlevel.com/docs/ghl/calendars/get-calendar-events,
 * https://marketplace.gohighlevel.com/docs/ghl/contacts/get-contact and
 * https://marketplace.gohighlevel.com/docs/other/rate-limits
 */
export function gohighlevel(read: ReadApi, { account }: BookingToolSettings): BookingTool {
  const appointments = new WeakMap<ListedMeeting, Appointment>();
  return {
    name: "gohighlevel",
    listsMissed: true,
    async meetings(window, budget, parts) {
      if (account === undefined) throw new BookingToolFault("unauthorised", "the account must be the id of a location");
      const calendars = parts ? { ids: parts, unread: [] } : await calendarsOf(read, account, budget);
      const part = calendars.ids.slice(0, CALENDARS_AT_ONCE);
      const found = await appointmentsIn(read, { locationId: account, ids: part, window }, budget);
      const listed = new Map(found.meetings.map((one) => [one.id, { one, meeting: meetingOf(one) }]));
      for (const { one, meeting } of listed.values()) appointments.set(meeting, one);
      return {
        meetings: [...listed.values()]
          .map(({ meeting }) => meeting)
          .sort((one, other) => +one.startsAt - +other.startsAt),
        unread: [...calendars.unread, ...found.unread],
        rest: calendars.ids.slice(CALENDARS_AT_ONCE),
      };
    },
    async details(meeting, budget) {
      const found = appointments.get(meeting);
      if (!found) throw new BookingToolFault("unexpected_answer", "the meeting is not one that this connection listed");
      return { bookings: await bookingsOf(read, found, budget), unread: [] };
    },
  };
}

async function calendarsOf(
  read: ReadApi,
  locationId: string,
  budget: CallBudget,
): Promise<{ readonly ids: ListParts; readonly unread: readonly Unread[] }> {
  const call = { path: "/calendars/", query: { locationId }, headers: { version: VERSIONS.calendars } };
  const { items, unread } = (await read({ ...call, answer: calendarsAnswer }, budget)).calendars;
  return { ids: items.map(({ id }) => id), unread };
}

interface Part {
  readonly locationId: string;
  readonly ids: ListParts;
  readonly window: TimeRange;
}

/**
 * An unreadable calendar, such as one that was just deleted, does not affect the others. If the tool answers for none,
 * it is at fault.
 */
async function appointmentsIn(read: ReadApi, part: Part, budget: CallBudget): Promise<Listed<Appointment>> {
  const { ids } = part;
  const lists = await Promise.allSettled(ids.map((id) => appointmentsOf(read, part, id, budget)));
  const meetings = lists.flatMap((list) => (list.status === "fulfilled" ? list.value.meetings : []));
  const unread = lists.flatMap((list, at) => {
    if (list.status === "fulfilled") return list.value.unread;
    return [{ ...unreadBecause(ids[at], list.reason), startsAt: undefined }];
  });
  const isDown = ({ status }: PromiseSettledResult<unknown>, at: number) =>
    status === "rejected" && unread[at]?.fault === "unavailable";
  const [first] = lists;
  if (first?.status === "rejected" && lists.every(isDown)) throw first.reason;
  return { meetings, unread };
}

async function appointmentsOf(
  read: ReadApi,
  { locationId, window: { from, to } }: Part,
  calendarId: string,
  budget: CallBudget,
): Promise<Listed<Appointment>> {
  // The documentation leaves open whether a meeting must also end in the range.
  const endTime = String(to.getTime() + DAY_MS);
  const query = { locationId, calendarId, startTime: String(from.getTime()), endTime };
  const headers = { version: VERSIONS.calendars };
  const { events } = await read({ path: "/calendars/events", query, headers, answer: eventsAnswer }, budget);
  const isWithin = (startTime: Date) => startTime >= from && startTime < to;
  return {
    meetings: events.items.filter(({ startTime }) => isWithin(startTime)),
    unread: events.unread.filter(({ startsAt }) => startsAt === undefined || isWithin(startsAt)),
  };
}

function meetingOf({ id, contactId, appointmentStatus, startTime, endTime, dateUpdated }: Appointment): ListedMeeting {
  return {
    id,
    version: versionOf(appointmentStatus, startTime, endTime, dateUpdated, contactId),
    status: STATUS[appointmentStatus],
    startsAt: startTime,
    endsAt: endTime,
  };
}

const TYPES = { confirmed: "meeting.booked", cancelled: "meeting.cancelled", missed: "meeting.missed" } as const;

async function bookingsOf(read: ReadApi, found: Appointment, budget: CallBudget): Promise<readonly Booking[]> {
  const status = STATUS[found.appointmentStatus];
  if (status === "tentative") return [];
  const path = `/contacts/${encodeURIComponent(found.contactId)}`;
  const call = { path, headers: { version: VERSIONS.contacts }, answer: contactAnswer };
  const contact = (await readIfThere(read, call, NO_SUCH_CONTACT, budget))?.contact;
  const lead = personOf(contact?.email ?? undefined, contact?.phone ?? undefined);
  if (!lead) return [];
  return [
    {
      type: TYPES[status],
      meetingId: meetingId("gohighlevel", found.id),
      lead,
      startsAt: found.startTime.toISOString(),
      endsAt: found.endTime.toISOString(),
      occurredAt: (found.dateUpdated ?? found.dateAdded)?.toISOString(),
    },
  ];
}
