import { afterEach, describe, expect, it } from "@jest/globals";
import { type CalendlyMeeting, calendlyAnswer } from "../../cli/demo-calendly.ts";
import type { BookingTool, BookingToolSettings } from "../../lib/booking/port.ts";
import { bookingTool } from "../../lib/booking/tools.ts";
import { meetingId } from "../../lib/inbound/booking-facts.ts";
import { CALCOM } from "./stand-ins/calcom.ts";
import { CALENDLY } from "./stand-ins/calendly.ts";
import { GOHIGHLEVEL } from "./stand-ins/gohighlevel.ts";
import {
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
  const [meeting, ...others] = await tool.meetings(WINDOW, budget());
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
    expect(await tool.meetings(WINDOW, budget())).toMatchObject([{ id: "booking-999" }]);
  });
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

  it("refuses a status that it does not know", async () => {
    const tool = await open(GOHIGHLEVEL);
    standIn.content.meetings = [aMeeting("one")];
    standIn.instead = (response, { status, body }) =>
      send(response, status, JSON.stringify(body).replace('"confirmed"', '"undecided"'));
    await expect(tool.meetings(WINDOW, budget())).rejects.toMatchObject({
      code: "unexpected_answer",
      message: expect.stringContaining("events.0.appointmentStatus"),
    });
  });
});
