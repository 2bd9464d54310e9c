import * as z from "zod";
import { DAY_MS } from "../domain/time-zone.ts";
import { type Booking, meetingId, personOf } from "../inbound/booking-facts.ts";
import { instant } from "../inbound/instant.ts";
import { type ReadApi, readIfThere } from "./http.ts";
import {
  type BookingTool,
  BookingToolFault,
  type BookingToolSettings,
  type CallBudget,
  type ListedMeeting,
  type MeetingStatus,
  type TimeRange,
} from "./port.ts";
import { versionOf } from "./version.ts";

/** Few enough for 100 calls in 10 seconds, enough for a location with dozens of calendars in that time. */
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

const appointment = z.object({
  id: z.string().min(1),
  contactId: z.string().min(1),
  appointmentStatus: z.string().toLowerCase().pipe(z.enum(STATUSES)),
  startTime: instant,
  endTime: instant,
  dateAdded: instant,
  dateUpdated: instant.nullish(),
});
type Appointment = z.infer<typeof appointment>;

/** Events of linked calendars and blocked times have no contact. */
const hasContact = (event: unknown): boolean => z.object({ contactId: z.string().min(1) }).safeParse(event).success;
const eventsAnswer = z.object({
  events: z
    .array(z.unknown())
    .transform((events) => events.filter(hasContact))
    .pipe(z.array(appointment)),
});
const calendarsAnswer = z.object({ calendars: z.array(z.object({ id: z.string().regex(/^[\w-]+$/) })) });
const contactAnswer = z.object({ contact: z.object({ email: z.string().nullish(), phone: z.string().nullish() }) });

/** Answers to the id of a contact that was deleted. */
const NO_SUCH_CONTACT = [400, 404, 422];

/**
 * GoHighLevel's API v2.
 *
 * It lists the appointments of one calendar, user or group in a range of time, without pages and without changes. A
 * sweep costs one call per calendar of the location, and one for the list of calendars. An appointment names a contact
 * only by id; the contact is one call. A meeting that moves keeps its id. Limits: 100 calls in 10 seconds and 200,000
 * a day per location.
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
    async meetings(window, budget) {
      if (account === undefined) throw new BookingToolFault("unauthorised", "the account must be the id of a location");
      const listed = new Map<string, ListedMeeting>();
      for (const appointment of await appointmentsIn(read, account, window, budget)) {
        const meeting = meetingOf(appointment);
        appointments.set(meeting, appointment);
        listed.set(meeting.id, meeting);
      }
      return [...listed.values()].sort((one, other) => one.startsAt.getTime() - other.startsAt.getTime());
    },
    async details(meeting, budget) {
      const found = appointments.get(meeting);
      if (!found) throw new BookingToolFault("unexpected_answer", "the meeting is not one that this connection listed");
      return { bookings: await bookingsOf(read, found, budget) };
    },
  };
}

async function appointmentsIn(
  read: ReadApi,
  locationId: string,
  window: TimeRange,
  budget: CallBudget,
): Promise<readonly Appointment[]> {
  const headers = { version: VERSIONS.calendars };
  const answer = calendarsAnswer;
  const { calendars } = await read({ path: "/calendars/", query: { locationId }, headers, answer }, budget);
  const found: Appointment[] = [];
  for (let at = 0; at < calendars.length; at += CALENDARS_AT_ONCE) {
    const group = calendars.slice(at, at + CALENDARS_AT_ONCE);
    const lists = group.map(({ id: calendarId }) => appointmentsOf(read, { locationId, calendarId }, window, budget));
    found.push(...(await Promise.all(lists)).flat());
  }
  return found;
}

async function appointmentsOf(
  read: ReadApi,
  calendar: { readonly locationId: string; readonly calendarId: string },
  { from, to }: TimeRange,
  budget: CallBudget,
): Promise<readonly Appointment[]> {
  // The documentation leaves open whether a meeting must also end in the range.
  const endTime = String(to.getTime() + DAY_MS);
  const query = { ...calendar, startTime: String(from.getTime()), endTime };
  const headers = { version: VERSIONS.calendars };
  const { events } = await read({ path: "/calendars/events", query, headers, answer: eventsAnswer }, budget);
  return events.filter(({ startTime }) => startTime >= from && startTime < to);
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
      occurredAt: (found.dateUpdated ?? found.dateAdded).toISOString(),
    },
  ];
}
