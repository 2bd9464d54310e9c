import * as z from "zod";
import { usefulText } from "../inbound/booking-facts.ts";
import { bookingsOfCalcom } from "../inbound/calcom.ts";
import { instant } from "../inbound/instant.ts";
import { type ReadApi, readIfThere } from "./http.ts";
import { listOf } from "./item-list.ts";
import { allByStart, type Page, type Position } from "./pages.ts";
import {
  type BookingTool,
  type BookingToolSettings,
  type CallBudget,
  type FreeSlots,
  type ListedMeeting,
  type MeetingDetails,
  type MeetingStatus,
  type TimeRange,
  versionOf,
} from "./port.ts";

/** The API version of each kind of call. */
export const CALCOM_VERSIONS = { bookings: "2024-08-13", eventTypes: "2024-06-14", slots: "2024-09-04" } as const;
/** Fewer than the 250 that are allowed, because Cal.com answers large pages slowly. */
const TAKE = 100;

const STATUS = {
  accepted: "confirmed",
  pending: "tentative",
  // No host has taken the instant meeting yet. The documentation leaves it out.
  awaiting_host: "tentative",
  cancelled: "cancelled",
  rejected: "cancelled",
} as const satisfies Readonly<Record<string, MeetingStatus>>;
const STATUSES = Object.keys(STATUS) as (keyof typeof STATUS)[];

const time = z.string().refine((text) => instant.safeParse(text).success, "must be an instant");
const usefulTime = time.optional().catch(undefined);
const booking = z.object({
  uid: z.string().min(1),
  status: z.enum(STATUSES),
  start: time,
  end: time,
  createdAt: usefulTime,
  updatedAt: usefulTime,
  rescheduledFromUid: usefulText,
  rescheduledToUid: usefulText,
  hosts: z.array(z.object({ id: z.union([z.int(), z.string()]).nullish(), email: z.string().nullish() })),
  attendees: z.array(
    z.object({
      email: z.string().nullish(),
      phoneNumber: z.string().nullish(),
      absent: z.boolean().nullish(),
      seatUid: usefulText,
    }),
  ),
  guests: z.array(z.string()).optional().catch(undefined),
  bookingFieldsResponses: z.record(z.string(), z.unknown()).optional().catch(undefined),
});
type CalcomBooking = z.infer<typeof booking>;

const bookingsPage = z.object({
  data: listOf(booking, { id: ({ uid }) => uid, startsAt: ({ start }) => start }),
  pagination: z.object({ hasNextPage: z.boolean() }),
});
const eventTypeAnswer = z.object({ data: z.object({ bookingUrl: z.url().nullish().catch(undefined) }) });
const slot = z
  .object({ start: instant, end: instant })
  .refine(({ start, end }) => end > start, { path: ["end"], error: "must be after start" });
const slotsAnswer = z.object({
  data: z.record(z.string(), listOf(slot)),
});

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
 * https://cal.com/docs/api-reference/v2/slots/get-available-time-slots-for-an-event-type,
 * https://cal.com/docs/api-reference/v2/event-types/get-an-event-type and, for what the API really sends,
 * `apps/api/v2/src/ee/bookings/2024-08-13/services/output.service.ts` of https://github.com/calcom/cal.com
 */
export function calcom(read: ReadApi, { account = "", eventType }: BookingToolSettings): BookingTool {
  const path = /^organizations\/\d+$/.test(account) ? `/v2/${account}/bookings` : "/v2/bookings";
  const [, userId] = /^users\/(\d+)$/.exec(account) ?? [];
  return {
    name: "calcom",
    listsMissed: true,
    async meetings(window, budget) {
      const { meetings, unread } = await allByStart(path, window, (position) =>
        bookingsAt(read, { path, position }, budget),
      );
      const own = meetings.filter((one) => userId === undefined || isHostedBy(userId, one));
      // In a series, only the new booking says that the former one was moved.
      const moved = new Set(meetings.map(({ movedFrom }) => movedFrom));
      const isMoved = ({ id, status }: ListedMeeting) => status === "cancelled" && moved.has(id);
      return {
        meetings: own.map(({ meeting }) => (isMoved(meeting) ? { ...meeting, details: NOBODY } : meeting)),
        unread,
        rest: [],
      };
    },
    details: async ({ details = NOBODY }) => details,
    ...(eventType !== undefined && { freeSlots: (range, budget) => freeSlots(read, eventType, range, budget) }),
  };
}

const NOBODY: MeetingDetails = { bookings: [], unread: [] };

interface Listed {
  readonly id: string;
  readonly startsAt: Date;
  readonly meeting: ListedMeeting;
  readonly hosts: CalcomBooking["hosts"];
  readonly movedFrom: string | undefined;
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
  const meetings = data.items.map((sent) => {
    const meeting = meetingOf(sent);
    const { hosts, rescheduledFromUid: movedFrom } = sent;
    return { id: meeting.id, startsAt: meeting.startsAt, meeting, hosts, movedFrom };
  });
  const length = meetings.length + data.unread.length;
  return { meetings, unread: data.unread, next: pagination.hasNextPage ? String(skip + length) : undefined };
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
    details: { bookings, unread: [] },
  };
}

/**
 * The answer about slots also has their ends. Only the booking page is read from the event type, which Cal.com does not
 * show to every member of its team.
 */
async function freeSlots(read: ReadApi, id: string, { from, to }: TimeRange, budget: CallBudget): Promise<FreeSlots> {
  const range = { start: from.toISOString(), end: to.toISOString(), timeZone: "UTC", format: "range" };
  const headers = { "cal-api-version": CALCOM_VERSIONS.slots };
  const call = { path: "/v2/slots", query: { eventTypeId: id, ...range }, headers, answer: slotsAnswer };
  const days = Object.values((await read(call, budget)).data);
  const times = days.flatMap(({ items }) => items.map(({ start, end }) => ({ startsAt: start, endsAt: end })));
  return {
    times: times
      .filter(({ startsAt }) => startsAt >= from && startsAt < to)
      .sort((one, other) => one.startsAt.getTime() - other.startsAt.getTime()),
    bookingUrl: await bookingPageOf(read, id, budget),
    unread: days.flatMap(({ unread }) => unread),
  };
}

async function bookingPageOf(read: ReadApi, id: string, budget: CallBudget): Promise<string | undefined> {
  const headers = { "cal-api-version": CALCOM_VERSIONS.eventTypes };
  const call = { path: `/v2/event-types/${encodeURIComponent(id)}`, headers, answer: eventTypeAnswer };
  return (await readIfThere(read, call, [403, 404], budget))?.data.bookingUrl ?? undefined;
}
