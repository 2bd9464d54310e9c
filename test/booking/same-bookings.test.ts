import { randomUUID } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { type Booking, bookingFact } from "../../lib/inbound/booking-facts.ts";
import { bookingsOfCalcom, type CalcomResource, translateCalcom } from "../../lib/inbound/calcom.ts";
import { bookingsOfCalendly, translateCalendly } from "../../lib/inbound/calendly.ts";
import type { TranslatedFact, Translation } from "../../lib/inbound/translation.ts";
import {
  anInvitee,
  calcom,
  calcomAttendee,
  calcomNoShow,
  calendly,
  calendlyInstant,
  calendlyRescheduled,
  instantAt,
} from "../support/booking-payloads.ts";

const ABOUT = { workspaceId: randomUUID(), receivedAt: new Date() };

function factsOf(translation: Translation): readonly TranslatedFact[] {
  if (translation.kind === "fault") throw new Error(translation.reason);
  return translation.kind === "facts" ? translation.facts : [];
}
const swept = (bookings: readonly Booking[] | undefined) => bookings?.map((booking) => bookingFact(ABOUT, booking));

describe("an invitee in Calendly's API gives the facts of its webhook", () => {
  /** The webhook's payload is the invitee of the API with its event. */
  const both = (webhook: { readonly payload?: unknown }) => ({
    fromWebhook: factsOf(translateCalendly(webhook, ABOUT)),
    fromApi: swept(bookingsOfCalendly(webhook.payload)),
  });
  const withGuests = {
    scheduledEvent: { event_guests: [{ email: "jo@example.com" }, { email: "host@acme.test" }] },
  };
  const one = anInvitee();
  const { canceled, created } = calendlyRescheduled(one, anInvitee(), { at: 5, ...withGuests });

  it.each([
    ["a booking", calendly("invitee.created", one, { at: 3, ...withGuests }), 2],
    ["a cancellation", calendly("invitee.canceled", one, { at: 4, ...withGuests }), 2],
    ["an absence", calendly("invitee_no_show.created", one, { at: 6 }), 1],
    ["the former invitee of a move", canceled, 0],
    ["the new invitee of a move", created, 2],
    [
      "an invitee with only a number",
      calendly("invitee.created", one, { invitee: { email: null, text_reminder_number: "+4915112345678" } }),
      1,
    ],
    [
      "a host who invites only guests",
      calendly("invitee.created", one, { ...withGuests, invitee: { email: "host@acme.test" } }),
      1,
    ],
  ])("%s", (_, webhook, count) => {
    const { fromWebhook, fromApi } = both(webhook);
    expect(fromWebhook).toHaveLength(count);
    expect(fromApi).toEqual(fromWebhook);
  });

  it("an absence, which is the invitee's alone: the guests are still booked", () => {
    const absent = calendly("invitee_no_show.created", one, { at: 6, ...withGuests });
    const bookings = bookingsOfCalendly(absent["payload"]);
    expect(bookings?.map(({ type, lead }) => [type, lead.email])).toEqual([
      ["meeting.missed", "ida@example.com"],
      ["meeting.booked", "jo@example.com"],
    ]);
  });

  it("a cancellation after an absence is a cancellation", () => {
    const no_show = { uri: "https://api.calendly.com/invitee_no_shows/1", created_at: calendlyInstant(6) };
    const cancelled = calendly("invitee.canceled", one, { at: 7, invitee: { no_show } });
    expect(bookingsOfCalendly(cancelled["payload"])).toMatchObject([{ type: "meeting.cancelled" }]);
  });

  it("a meeting without named people gives nothing, and a value that is no invitee is undefined", () => {
    expect(bookingsOfCalendly(calendly("invitee.created", one, { invitee: { email: null } })["payload"])).toEqual([]);
    expect(bookingsOfCalendly({ email: "ida@example.com" })).toBeUndefined();
  });
});

describe("a booking in Cal.com's API gives the meetings of its webhooks", () => {
  const uid = randomUUID();
  const former = randomUUID();
  const guests = [
    calcomAttendee("ida@example.com"),
    calcomAttendee("jo@example.com"),
    calcomAttendee("host@acme.test"),
  ];

  const resource = (changes: Partial<CalcomResource> = {}): CalcomResource => ({
    uid,
    status: "accepted",
    start: instantAt(60),
    end: instantAt(90),
    createdAt: instantAt(0),
    updatedAt: instantAt(1),
    hosts: [{ id: 5, email: "host@acme.test" }],
    attendees: guests.map((attendee) => ({ ...attendee, absent: false })),
    bookingFieldsResponses: { email: "ida@example.com", guests: ["Jo@example.com"] },
    ...changes,
  });
  /** A webhook and the API must agree on everything but the time of the event. */
  const agreed = (facts: readonly TranslatedFact[] | undefined) =>
    facts?.map(({ type, detail }) => ({ type, ...detail, eventId: "", occurredAt: "" }));

  it.each<[string, unknown, Partial<CalcomResource>, number]>([
    ["a booking", calcom("BOOKING_CREATED", uid, { starts: 60, payload: { attendees: guests } }), {}, 2],
    [
      "a cancellation",
      calcom("BOOKING_CANCELLED", uid, { starts: 60, payload: { attendees: guests } }),
      { status: "cancelled" },
      2,
    ],
    [
      "a rejection",
      calcom("BOOKING_REJECTED", uid, { starts: 60, payload: { attendees: guests } }),
      { status: "rejected" },
      2,
    ],
    [
      "a move",
      calcom("BOOKING_RESCHEDULED", uid, { starts: 60, payload: { attendees: guests, rescheduleUid: former } }),
      { rescheduledFromUid: former },
      2,
    ],
    ["a booking that awaits confirmation", calcom("BOOKING_REQUESTED", uid), { status: "pending" }, 0],
    [
      "a booking by phone",
      calcom("BOOKING_CREATED", uid, {
        starts: 60,
        payload: { attendees: [calcomAttendee("4915112345678@sms.cal.com")], responses: {} },
      }),
      { attendees: [{ email: "4915112345678@sms.cal.com", absent: false }], bookingFieldsResponses: {} },
      1,
    ],
  ])("%s", (_, webhook, changes, count) => {
    const fromWebhook = agreed(factsOf(translateCalcom(webhook, ABOUT)));
    expect(fromWebhook).toHaveLength(count);
    expect(agreed(swept(bookingsOfCalcom(resource(changes))))).toEqual(fromWebhook);
  });

  it("an absence, of the attendee whom the webhook names, and not before the start", () => {
    const [absence] = factsOf(translateCalcom(calcomNoShow(uid, [{ email: "jo@example.com", noShow: true }]), ABOUT));
    const [ida, jo] = guests.map((attendee) => ({ ...attendee, absent: attendee["email"] === "jo@example.com" }));
    const bookings = bookingsOfCalcom(resource({ attendees: [ida ?? {}, jo ?? {}] }));
    expect(bookings).toMatchObject([
      { type: "meeting.booked", occurredAt: instantAt(1) },
      { type: "meeting.missed", occurredAt: instantAt(60), lead: { email: "jo@example.com" } },
    ]);
    expect(absence).toMatchObject({ type: "meeting.missed", detail: { meeting: { id: bookings[1]?.meetingId } } });
  });

  it("nothing about members of the team, whom Cal.com stores among the attendees", () => {
    const colleague = { email: "kim@acme.test", absent: false };
    const attendees = [...resource().attendees, colleague];
    const addressesOf = (changes: Partial<CalcomResource>) =>
      bookingsOfCalcom(resource({ attendees, ...changes })).map(({ lead }) => lead.email);
    expect(addressesOf({})).toEqual(["ida@example.com", "jo@example.com"]);
    expect(addressesOf({ bookingFieldsResponses: { email: "ida@example.com" }, guests: [colleague.email] })).toEqual([
      "ida@example.com",
      "kim@acme.test",
    ]);
  });

  it.each<[string, Partial<CalcomResource>]>([
    [
      "seats",
      {
        attendees: [
          { email: "ida@example.com", seatUid: "1" },
          { email: "bo@example.com", seatUid: "2" },
        ],
      },
    ],
    ["an unknown booker", { bookingFieldsResponses: { email: "unknown" } }],
    ["no answers", { bookingFieldsResponses: undefined }],
  ])("twin: all attendees of a booking with %s", (_, changes) => {
    const attendees = [{ email: "ida@example.com" }, { email: "bo@example.com" }];
    expect(bookingsOfCalcom(resource({ attendees, ...changes }))).toHaveLength(2);
  });

  it("nothing about a booking that was moved, because the new one replaces it", () => {
    expect(bookingsOfCalcom(resource({ status: "cancelled", rescheduledToUid: randomUUID() }))).toEqual([]);
  });

  it("nothing about a booking without an address and a number", () => {
    expect(bookingsOfCalcom(resource({ attendees: [{ absent: false }], bookingFieldsResponses: {} }))).toEqual([]);
  });
});
