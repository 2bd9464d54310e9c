import type { JsonAnswer } from "../../../cli/demo-calendly.ts";
import { meetingId } from "../../../lib/inbound/booking-facts.ts";
import {
  BOOKING_URL,
  MINUTES,
  type StandInContent,
  type StandInMeeting,
  TOKEN,
  type ToolUnderTest,
} from "./stand-in.ts";

const STATUS = { confirmed: "accepted", missed: "accepted", cancelled: "cancelled", tentative: "pending" } as const;

/** The times of a booking in the API are those of its database, in milliseconds. */
const bookingOf = ({ id, email, status, startsAt, minutes, bookedAt, changedAt }: StandInMeeting) => ({
  id: 91,
  uid: id,
  title: "Demo",
  hosts: [{ id: 5, name: "Hana", email: "host@acme.test", username: "hana", timeZone: "Europe/Berlin" }],
  status: STATUS[status],
  start: startsAt.toISOString(),
  end: new Date(startsAt.getTime() + minutes * 60_000).toISOString(),
  duration: minutes,
  eventType: { id: 7, slug: "demo" },
  absentHost: false,
  createdAt: bookedAt.toISOString(),
  // An absence is stored with the attendee and does not change the booking.
  updatedAt: status === "missed" ? null : changedAt.toISOString(),
  attendees: [{ name: "Ida Sommer", email, timeZone: "Europe/Berlin", language: "de", absent: status === "missed" }],
  bookingFieldsResponses: { email, name: "Ida Sommer", guests: [] },
});

function bookings({ meetings }: StandInContent, query: URLSearchParams): JsonAnswer {
  const [skip, take] = [Number(query.get("skip") ?? 0), Number(query.get("take") ?? 100)];
  const listed = meetings
    .filter(({ startsAt }) => startsAt.getTime() >= Date.parse(query.get("afterStart") ?? ""))
    .sort((one, other) => one.startsAt.getTime() - other.startsAt.getTime());
  const data = listed.slice(skip, skip + take).map(bookingOf);
  const remainingItems = Math.max(0, listed.length - skip - take);
  const pagination = { totalItems: listed.length, remainingItems, hasNextPage: remainingItems > 0 };
  return { status: 200, body: { status: "success", data, pagination } };
}

/** With an end if ranges are requested. */
function slots({ freeTimes }: StandInContent, query: URLSearchParams): JsonAnswer {
  const endOf = (time: Date) => new Date(time.getTime() + MINUTES * 60_000).toISOString();
  const isRange = query.get("format") === "range";
  const data = Object.groupBy(
    freeTimes.map((time) => ({ start: time.toISOString(), ...(isRange && { end: endOf(time) }) })),
    ({ start }) => start.slice(0, 10),
  );
  return { status: 200, body: { status: "success", data } };
}

const VERSIONS: Readonly<Record<string, string>> = {
  "/v2/bookings": "2024-08-13",
  "/v2/slots": "2024-09-04",
  "/v2/event-types/7": "2024-06-14",
};

export const CALCOM: ToolUnderTest = {
  name: "calcom",
  settings: { eventType: "7" },
  pageSize: 100,
  statuses: ["confirmed", "cancelled", "missed", "tentative"],
  detailCalls: 0,
  meetingId: ({ id, email }) => meetingId("calcom", id, email),
  timeField: "start",
  statusField: "status",
  answer: (content, { pathname, searchParams }, { headers }) => {
    if (headers.authorization !== `Bearer ${TOKEN}`) return { status: 401, body: { status: "error" } };
    if (headers["cal-api-version"] !== VERSIONS[pathname]) return { status: 404, body: { status: "error" } };
    if (pathname === "/v2/bookings") return bookings(content, searchParams);
    if (pathname === "/v2/slots") return slots(content, searchParams);
    const data = { id: 7, slug: "demo", lengthInMinutes: MINUTES, bookingUrl: BOOKING_URL };
    return { status: 200, body: { status: "success", data } };
  },
};
