import { afterEach, describe, expect, it } from "@jest/globals";
import { type CalendlyMeeting, calendlyAnswer } from "../../cli/demo-calendly.ts";
import type { BookingTool, BookingToolSettings } from "../../lib/booking/port.ts";
import { bookingTool } from "../../lib/booking/tools.ts";
import { meetingId } from "../../lib/inbound/booking-facts.ts";
import { CALCOM } from "./stand-ins/calcom.ts";
import { CALENDLY } from "./stand-ins/calendly.ts";
import { GOHIGHLEVEL } from "./stand-ins/gohighlevel.ts";
import {
  allMeetings,
  aMeeting,
  at,
  callBudget,
  DAY,
  MINUTE,
  type StandIn,
  send,
  standInOf,
  TOKEN,
  type ToolUnderTest,
  WINDOW,
} from "./stand-ins/stand-in.ts";

const LIMITS = { timeoutMs: 5_000, mostBytes: 10_000_000 };

let standIn: StandIn;
afterEach(() => standIn.close());

async function open(tool: ToolUnderTest, changes: Partial<BookingToolSettings> = {}): Promise<BookingTool> {
  standIn = await standInOf(tool);
  return bookingTool(tool.name, { apiToken: TOKEN, apiUrl: standIn.url, ...tool.settings, ...changes }, LIMITS);
}
const budget = () => callBudget(100, AbortSignal.timeout(20_000));
async function bookingsOf(tool: BookingTool) {
  const [meeting, ...others] = (await allMeetings(tool, WINDOW, budget())).meetings;
  expect(others).toEqual([]);
  if (!meeting) throw new Error("no meeting is listed");
  return (await tool.details(meeting, budget())).bookings;
}

describe("Calendly", () => {
  const anEvent = (invitees: number): CalendlyMeeting[] =>
    Array.from({ length: invitees }, (_, index) => ({
      event: "webinar",
      invitee: `invitee-${index}`,
      email: `guest-${index}@example.com`,
      startsAt: at(DAY).toISOString(),
      endsAt: at(DAY + 1).toISOString(),
      bookedAt: at(index).toISOString(),
      cancelledAt: index === 7 ? at(DAY / 2).toISOString() : undefined,
    }));

  it("gives each invitee of a group event a meeting of its own, over all pages", async () => {
    const tool = await open(CALENDLY);
    const account = { token: TOKEN, meetings: anEvent(150), freeTimes: [], meetingMinutes: 1, bookingUrl: "" };
    standIn.instead = (response) => {
      const url = new URL(standIn.requests.at(-1) ?? "", standIn.url);
      const { status, body } = calendlyAnswer(account, url, `Bearer ${TOKEN}`);
      send(response, status, body);
    };
    const bookings = await bookingsOf(tool);
    expect(new Set(bookings.map((booking) => booking.meetingId)).size).toBe(150);
    expect(bookings.filter(({ type }) => type === "meeting.cancelled")).toMatchObject([
      { meetingId: meetingId("calendly", "invitee-7") },
    ]);
  });

  it.each([
    ["https://api.calendly.com/users/HANA", "user"],
    ["https://api.calendly.com/organizations/ACME", "organization"],
  ])("asks for the events of %s", async (account, parameter) => {
    const tool = await open(CALENDLY, { account });
    await tool.meetings(WINDOW, budget());
    expect(new URL(standIn.requests[0] ?? "", standIn.url).searchParams.get(parameter)).toBe(account);
  });

  it.each([undefined, "ACME"])("reads nothing for the account %s", async (account) => {
    const tool = await open(CALENDLY, { account });
    await expect(tool.meetings(WINDOW, budget())).rejects.toMatchObject({ code: "unauthorised" });
    expect(standIn.requests).toEqual([]);
  });
});

describe("Calendly", () => {
  it("gives the other invitees of an event if one cannot be read", async () => {
    const tool = await open(CALENDLY);
    standIn.content.meetings = [aMeeting("one"), aMeeting("one", { email: "jo@example.com" })];
    standIn.instead = (response, { status, body }) => {
      const isInvitees = standIn.requests.at(-1)?.includes("/invitees") === true;
      send(
        response,
        status,
        isInvitees ? JSON.stringify(body).replace(/"uri":"[^"]*invitees[^"]*"/, '"uri":null') : body,
      );
    };
    const [meeting] = (await tool.meetings(WINDOW, budget())).meetings;
    if (!meeting) throw new Error("no meeting is listed");
    const { bookings, unread } = await tool.details(meeting, budget());
    expect(bookings).toMatchObject([{ lead: { email: "jo@example.com" } }]);
    expect(unread).toMatchObject([{ id: undefined, reason: expect.stringMatching(/^uri: .* \(is null\)$/) }]);
  });

  it("needs no more than URI, status and times of an event", async () => {
    const tool = await open(CALENDLY);
    standIn.content.meetings = [aMeeting("one")];
    const useless = ["updated_at", "invitees_counter", "event_memberships", "event_guests"];
    standIn.instead = (response, { status, body }) =>
      send(
        response,
        status,
        JSON.stringify(body, (key, value) => (useless.includes(key) ? 5 : value)),
      );
    expect(await bookingsOf(tool)).toMatchObject([{ type: "meeting.booked", lead: { email: "ida@example.com" } }]);
  });
});

describe("Cal.com", () => {
  it.each([
    ["organizations/8", "/v2/organizations/8/bookings?"],
    ["users/5", "/v2/bookings?"],
    [undefined, "/v2/bookings?"],
  ])("asks for the bookings of %s", async (account, path) => {
    const tool = await open(CALCOM, { account });
    await tool.meetings(WINDOW, budget()).catch(() => undefined);
    expect(standIn.requests[0]).toContain(path);
  });

  it("lists of a user only what the user hosts, also behind pages of what others host", async () => {
    const tool = await open(CALCOM, { account: "users/6" });
    standIn.content.meetings = Array.from({ length: 1_000 }, (_, index) =>
      aMeeting(`booking-${index}`, { startsAt: at(index * MINUTE) }),
    );
    standIn.instead = (response, { status, body }) =>
      send(response, status, JSON.stringify(body).replace(/("uid":"booking-999".*?"hosts":\[\{"id":)5/, "$16"));
    expect(await tool.meetings(WINDOW, budget())).toMatchObject({ meetings: [{ id: "booking-999" }] });
  });
});

describe("Cal.com, beyond its documentation,", () => {
  const replaced = (replace: (text: string) => string) => {
    standIn.instead = (response, { status, body }) => send(response, status, replace(JSON.stringify(body)));
  };

  it("lists instant meetings that no host has taken yet as tentative", async () => {
    const tool = await open(CALCOM);
    standIn.content.meetings = [aMeeting("instant"), aMeeting("other", { status: "tentative" })];
    replaced((text) => text.replace('"accepted"', '"awaiting_host"'));
    const { meetings, unread } = await tool.meetings(WINDOW, budget());
    expect(meetings.map(({ status }) => status)).toEqual(["tentative", "tentative"]);
    expect(unread).toEqual([]);
    for (const meeting of meetings) expect(await tool.details(meeting, budget())).toEqual({ bookings: [], unread: [] });
  });

  it("takes a booking of a series that another one replaces for moved, although it does not say so itself", async () => {
    const tool = await open(CALCOM);
    standIn.content.meetings = [
      aMeeting("former", { status: "cancelled" }),
      aMeeting("new", { startsAt: at(3 * DAY) }),
    ];
    const typesIn = async () => {
      const { meetings } = await tool.meetings(WINDOW, budget());
      const details = await Promise.all(meetings.map((meeting) => tool.details(meeting, budget())));
      return details.map(({ bookings }) => bookings.map(({ type }) => type));
    };
    expect(await typesIn()).toEqual([["meeting.cancelled"], ["meeting.booked"]]);
    replaced((text) => text.replace('"uid":"new"', '"uid":"new","rescheduledFromUid":"former"'));
    expect(await typesIn()).toEqual([[], ["meeting.rescheduled"]]);
  });

  it("needs no more than uid, status, times and people of a booking", async () => {
    const tool = await open(CALCOM);
    standIn.content.meetings = [aMeeting("one")];
    replaced((text) =>
      text.replace(/"createdAt":"[^"]*"/, '"createdAt":5').replace(/"updatedAt":"[^"]*"/, '"updatedAt":{}'),
    );
    expect(await bookingsOf(tool)).toMatchObject([{ type: "meeting.booked", lead: { email: "ida@example.com" } }]);
  });

  it.each([403, 404])(
    "offers the times of a team whose event type it answers with %i, without its page",
    async (refusal) => {
      const tool = await open(CALCOM);
      standIn.content.freeTimes = [at(DAY)];
      standIn.instead = (response, { status, body }) =>
        standIn.requests.at(-1)?.startsWith("/v2/event-types/")
          ? send(response, refusal, {})
          : send(response, status, body);
      expect(await tool.freeSlots?.(WINDOW, budget())).toEqual({
        times: [{ startsAt: at(DAY), endsAt: at(DAY + 30 * MINUTE) }],
        bookingUrl: undefined,
        unread: [],
      });
    },
  );
});

describe("GoHighLevel", () => {
  const contact = (answer: { readonly status: number; readonly body: unknown }) => {
    standIn.instead = (response, { status, body }) =>
      standIn.requests.at(-1)?.startsWith("/contacts/")
        ? send(response, answer.status, answer.body)
        : send(response, status, body);
  };

  it("names a contact by number if there is no address", async () => {
    const tool = await open(GOHIGHLEVEL);
    standIn.content.meetings = [aMeeting("one")];
    contact({ status: 200, body: { contact: { email: null, phone: "+4915112345678" } } });
    expect(await bookingsOf(tool)).toMatchObject([{ lead: { phone: "+4915112345678" } }]);
  });

  it.each([
    [400, { message: "Contact not found" }],
    [404, { message: "Not found" }],
    [200, { contact: { email: "", phone: "" } }],
  ])("skips a contact that is gone or has no address: %i", async (status, body) => {
    const tool = await open(GOHIGHLEVEL);
    standIn.content.meetings = [aMeeting("one")];
    contact({ status, body });
    expect(await bookingsOf(tool)).toEqual([]);
  });

  it("keeps the id of a meeting that moves", async () => {
    const tool = await open(GOHIGHLEVEL);
    standIn.content.meetings = [aMeeting("one")];
    const [before] = await bookingsOf(tool);
    standIn.content.meetings = [aMeeting("one", { startsAt: at(3 * DAY), changedAt: at(0) })];
    const [after] = await bookingsOf(tool);
    expect(after?.meetingId).toBe(before?.meetingId);
    expect(after).toMatchObject({ startsAt: at(3 * DAY).toISOString(), occurredAt: at(0).toISOString() });
  });

  it("lists a location with hundreds of calendars part by part, each calendar once", async () => {
    const tool = await open(GOHIGHLEVEL);
    const ids = Array.from({ length: 213 }, (_, index) => `calendar-${index}`);
    standIn.instead = (response, { status, body }) =>
      standIn.requests.at(-1)?.startsWith("/calendars/?")
        ? send(response, 200, { calendars: [...ids, "no id"].map((id) => ({ id })) })
        : send(response, status, body);
    const { unread } = await allMeetings(tool, WINDOW, callBudget(1_000, AbortSignal.timeout(20_000)));
    expect(unread).toMatchObject([{ id: undefined, reason: expect.stringContaining("id: ") }]);
    const asked = standIn.requests.flatMap((path) => /calendarId=([^&]+)/.exec(path)?.[1] ?? []);
    expect(asked).toEqual(ids);
    expect(standIn.requests).toHaveLength(1 + ids.length);
  });

  it.each([400, 403, 404, 422, 500])("reads the other calendars if one answers %i", async (refusal) => {
    const tool = await open(GOHIGHLEVEL);
    standIn.content.meetings = [aMeeting("one"), aMeeting("four")];
    standIn.instead = (response, { status, body }) =>
      standIn.requests.at(-1)?.includes("calendarId=calendar-two")
        ? send(response, refusal, { message: "no" })
        : send(response, status, body);
    const { meetings, unread } = await allMeetings(tool, WINDOW, budget());
    expect(meetings.map(({ id }) => id)).toEqual(["four"]);
    expect(unread).toMatchObject([{ id: "calendar-two", reason: `GET /calendars/events answered ${refusal}` }]);
  });
});
