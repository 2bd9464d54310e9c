import type { JsonAnswer } from "../../../cli/demo-calendly.ts";
import { meetingId } from "../../../lib/inbound/booking-facts.ts";
import { type StandInContent, type StandInMeeting, TOKEN, type ToolUnderTest } from "./stand-in.ts";

const STATUS = { confirmed: "confirmed", missed: "noshow", cancelled: "cancelled", tentative: "new" } as const;
const CALENDARS = ["calendar-one", "calendar-two"];

/** Each meeting is in one calendar. */
const calendarOf = ({ id }: StandInMeeting) => CALENDARS[id.length % CALENDARS.length];

/** As GoHighLevel writes instants: in the zone of the location. */
const local = (time: Date): string => new Date(time.getTime() + 330 * 60_000).toISOString().replace("Z", "+05:30");

const eventOf = (meeting: StandInMeeting) => ({
  id: meeting.id,
  title: "Demo",
  calendarId: calendarOf(meeting),
  locationId: "location",
  contactId: `contact-of-${meeting.id}`,
  groupId: "group",
  appointmentStatus: STATUS[meeting.status],
  assignedUserId: "user",
  users: [],
  startTime: local(meeting.startsAt),
  endTime: local(new Date(meeting.startsAt.getTime() + meeting.minutes * 60_000)),
  dateAdded: local(meeting.bookedAt),
  dateUpdated: local(meeting.changedAt),
});

/** An event of a linked calendar, which every range has. */
const LINKED = { id: "linked", title: "Dentist", calendarId: CALENDARS[0], appointmentStatus: null };

function events({ meetings }: StandInContent, query: URLSearchParams): JsonAnswer {
  const [from, to] = [Number(query.get("startTime")), Number(query.get("endTime"))];
  const listed = meetings.filter(
    (meeting) =>
      calendarOf(meeting) === query.get("calendarId") &&
      meeting.startsAt.getTime() <= to &&
      meeting.startsAt.getTime() + meeting.minutes * 60_000 >= from,
  );
  return { status: 200, body: { events: [LINKED, ...listed.map(eventOf)] } };
}

export const GOHIGHLEVEL: ToolUnderTest = {
  name: "gohighlevel",
  settings: { account: "location" },
  pageSize: undefined,
  statuses: ["confirmed", "cancelled", "missed", "tentative"],
  detailCalls: 1,
  meetingId: ({ id }) => meetingId("gohighlevel", id),
  timeField: "startTime",
  statusField: "appointmentStatus",
  answer: (content, { pathname, searchParams }, { headers }) => {
    if (headers.authorization !== `Bearer ${TOKEN}`) return { status: 401, body: { message: "Invalid JWT" } };
    const [, contactId] = /^\/contacts\/(.+)$/.exec(pathname) ?? [];
    const version = contactId === undefined ? "2021-04-15" : "2021-07-28";
    if (headers["version"] !== version) return { status: 401, body: { message: "version header is invalid" } };
    if (pathname === "/calendars/") return { status: 200, body: { calendars: CALENDARS.map((id) => ({ id })) } };
    if (pathname === "/calendars/events") return events(content, searchParams);
    const meeting = content.meetings.find(({ id }) => `contact-of-${id}` === contactId);
    if (!meeting) return { status: 400, body: { message: "Contact not found" } };
    return { status: 200, body: { contact: { id: contactId, email: meeting.email, phone: null } } };
  },
};
