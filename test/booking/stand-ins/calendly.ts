import { type CalendlyMeeting, calendlyAnswer } from "../../../cli/demo-calendly.ts";
import { meetingId } from "../../../lib/inbound/booking-facts.ts";
import { BOOKING_URL, MINUTES, type StandInMeeting, TOKEN, type ToolUnderTest } from "./stand-in.ts";

const meetingOf = ({ id, email, status, startsAt, minutes, bookedAt, changedAt }: StandInMeeting): CalendlyMeeting => ({
  event: id,
  invitee: `invitee-of-${id}`,
  email,
  startsAt: startsAt.toISOString(),
  endsAt: new Date(startsAt.getTime() + minutes * 60_000).toISOString(),
  bookedAt: bookedAt.toISOString(),
  cancelledAt: status === "cancelled" ? changedAt.toISOString() : undefined,
  missedAt: status === "missed" ? changedAt.toISOString() : undefined,
});

export const CALENDLY: ToolUnderTest = {
  name: "calendly",
  settings: {
    account: "https://api.calendly.com/organizations/ACME",
    eventType: "https://api.calendly.com/event_types/DEMO",
  },
  pageSize: 100,
  statuses: ["confirmed", "cancelled", "missed"],
  detailCalls: 1,
  meetingId: ({ id }) => meetingId("calendly", `invitee-of-${id}`),
  timeField: "start_time",
  statusField: "status",
  answer: ({ meetings, freeTimes }, url, { headers }) => {
    const account = {
      token: TOKEN,
      meetings: meetings.map(meetingOf),
      freeTimes: freeTimes.map((time) => time.toISOString()),
      meetingMinutes: MINUTES,
      bookingUrl: BOOKING_URL,
    };
    return calendlyAnswer(account, url, headers.authorization);
  },
};
