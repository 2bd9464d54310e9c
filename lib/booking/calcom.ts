import * as z from "zod";
import { bookingsOfCalcom } from "../inbound/calcom.ts";
import { instant } from "../inbound/instant.ts";
import type { ReadApi } from "./http.ts";
import { allByStart, type Page, type Position } from "./pages.ts";
import type {
  BookingTool,
  BookingToolSettings,
  CallBudget,
  FreeSlots,
  ListedMeeting,
  MeetingStatus,
  TimeRange,
} from "./port.ts";
import { versionOf } from "./version.ts";

/** The API version of each kind of call. */
export const CALCOM_VERSIONS = { bookings: "2024-08-13", eventTypes: "2024-06-14", slots: "2024-09-04" } as const;
/** Fewer than the 250 that are allowed, because Cal.com answers large pages slowly. */
const TAKE = 100;

const time = z.string().refine((text) => instant.safeParse(text).success, "must be an instant");
const booking = z.object({
  uid: z.string().min(1),
  status: z.enum(["accepted", "pending", "cancelled", "rejected"]),
  start: time,
  end: time,
  createdAt: time,
  updatedAt: time.nullish(),
  rescheduledFromUid: z.string().nullish(),
  rescheduledToUid: z.string().nullish(),
  hosts: z.array(z.object({ id: z.union([z.int(), z.string()]).nullish(), email: z.string().nullish() })),
  attendees: z.array(
    z.object({ email: z.string().nullish(), phoneNumber: z.string().nullish(), absent: z.boolean().nullish() }),
  ),
  bookingFieldsResponses: z.record(z.string(), z.unknown()).optional(),
});
type CalcomBooking = z.infer<typeof booking>;

const bookingsPage = z.object({ data: z.array(booking), pagination: z.object({ hasNextPage: z.boolean() }) });
const eventTypeAnswer = z.object({
  data: z.object({ lengthInMinutes: z.number().positive(), bookingUrl: z.url().nullish() }),
});
const slotsAnswer = z.object({ data: z.record(z.string(), z.array(z.object({ start: instant }))) });

const STATUS: Readonly<Record<CalcomBooking["status"], MeetingStatus>> = {
  accepted: "confirmed",
  pending: "tentative",
  cancelled: "cancelled",
  rejected: "cancelled",
};

/**
 * Cal.com's API v2.
 *
 * It lists bookings by their start, with all people and absences, up to 250 a page. Pages are offsets. It could also
 * filter by time of change (`afterUpdatedAt`), but an absence does not change that time, so that a sweep reads the
 * window. With an organisation as account, the list has the bookings of all its members. With a user, it has those
 * that the user hosts, although the API also shows an admin those of others. Limit: 120 calls a minute per API key.
 *
 * Sources: https://cal.com/docs/api-reference/v2/bookings/get-all-bookings,
 * https://cal.com/docs/api-reference/v2/orgs-bookings/get-organization-bookings,
 * https://cal.com/docs/api-reference/v2/slots/get-available-time-slots-for-an-event-type and
 * https://cal.com/docs/api-reference/v2/event-types/get-an-event-type
 */
export function calcom(read: ReadApi, { account = "", eventType }: BookingToolSettings): BookingTool {
  const path = /^organizations\/\d+$/.test(account) ? `/v2/${account}/bookings` : "/v2/bookings";
  const [, userId] = /^users\/(\d+)$/.exec(account) ?? [];
  return {
    name: "calcom",
    listsMissed: true,
    async meetings(window, budget) {
      const listed = await allByStart(path, window, (position) => bookingsAt(read, { path, position }, budget));
      return listed.filter((one) => userId === undefined || isHostedBy(userId, one)).map(({ meeting }) => meeting);
    },
    details: async ({ details = { bookings: [] } }) => details,
    ...(eventType !== undefined && { freeSlots: (range, budget) => freeSlots(read, eventType, range, budget) }),
  };
}

interface Listed {
  readonly id: string;
  readonly startsAt: Date;
  readonly meeting: ListedMeeting;
  readonly hosts: CalcomBooking["hosts"];
}

const isHostedBy = (userId: string, { hosts }: Listed): boolean => hosts.some(({ id }) => String(id) === userId);

interface Wanted {
  readonly path: string;
  readonly position: Position;
}

/** Without `beforeEnd`: a meeting that starts in the window may end at any time after it. */
async function bookingsAt(read: ReadApi, { path, position }: Wanted, budget: CallBudget): Promise<Page<Listed>> {
  const skip = Number(position.next ?? 0);
  const afterStart = position.from.toISOString();
  const query = { afterStart, sortStart: "asc", take: String(TAKE), skip: String(skip) };
  const headers = { "cal-api-version": CALCOM_VERSIONS.bookings };
  const { data, pagination } = await read({ path, query, headers, answer: bookingsPage }, budget);
  const meetings = data.map((sent) => {
    const meeting = meetingOf(sent);
    return { id: meeting.id, startsAt: meeting.startsAt, meeting, hosts: sent.hosts };
  });
  return { meetings, next: pagination.hasNextPage ? String(skip + data.length) : undefined };
}

function meetingOf(sent: CalcomBooking): ListedMeeting {
  const { uid, status, start, end, updatedAt, rescheduledToUid, hosts, attendees } = sent;
  const bookings = bookingsOfCalcom(sent);
  const isMissed = bookings.length > 0 && bookings.every(({ type }) => type === "meeting.missed");
  return {
    id: uid,
    version: versionOf(status, start, end, updatedAt, rescheduledToUid, hosts, attendees),
    status: isMissed ? "missed" : STATUS[status],
    startsAt: new Date(start),
    endsAt: new Date(end),
    details: { bookings },
  };
}

async function freeSlots(read: ReadApi, id: string, { from, to }: TimeRange, budget: CallBudget): Promise<FreeSlots> {
  const path = `/v2/event-types/${encodeURIComponent(id)}`;
  const ofEventType = { "cal-api-version": CALCOM_VERSIONS.eventTypes };
  const eventType = await read({ path, headers: ofEventType, answer: eventTypeAnswer }, budget);
  const query = { eventTypeId: id, start: from.toISOString(), end: to.toISOString(), timeZone: "UTC" };
  const headers = { "cal-api-version": CALCOM_VERSIONS.slots };
  const { data } = await read({ path: "/v2/slots", query, headers, answer: slotsAnswer }, budget);
  const times = Object.values(data).flatMap((slots) => slots.map(({ start }) => start));
  return {
    times: times.filter((start) => start >= from && start < to).sort((one, other) => one.getTime() - other.getTime()),
    minutes: eventType.data.lengthInMinutes,
    bookingUrl: eventType.data.bookingUrl ?? undefined,
  };
}
