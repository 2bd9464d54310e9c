import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { translateCalcom } from "../../lib/inbound/calcom.ts";
import { parseFact } from "../../lib/inbound/parse-event.ts";
import type { TranslatedFact } from "../../lib/inbound/translation.ts";
import { calcom, calcomAttendee, calcomNoShow, instantAt } from "../support/booking-payloads.ts";

const ABOUT = { workspaceId: "0192d0c4-0000-7000-8000-000000000001", receivedAt: new Date("2026-11-20T12:00:00Z") };
const UID = "bFJeNb2uX8ANpT3JL5EfXw";

function factsOf(payload: unknown): readonly TranslatedFact[] {
  const translation = translateCalcom(payload, ABOUT);
  if (translation.kind !== "facts") throw new Error(translation.reason);
  return translation.facts;
}

const leadsOf = (payload: unknown) => factsOf(payload).map(({ detail }) => "lead" in detail && detail.lead);
const meetingIdsOf = (payload: unknown) =>
  factsOf(payload).map(({ detail }) => "meeting" in detail && detail.meeting.id);

describe("a webhook of Cal.com", () => {
  it("about a confirmed booking is a booking", () => {
    expect(factsOf(calcom("BOOKING_CREATED", UID, { at: 5, starts: 60 }))).toEqual([
      {
        type: "meeting.booked",
        detail: {
          workspaceId: ABOUT.workspaceId,
          eventId: expect.stringMatching(new RegExp(`^calcom:${UID}:[0-9a-f]{24}:[0-9a-f]{24}$`)),
          occurredAt: instantAt(5),
          lead: { email: "ida@example.com" },
          meeting: {
            id: expect.stringMatching(new RegExp(`^calcom:${UID}:[0-9a-f]{24}$`)),
            startsAt: instantAt(60),
            endsAt: instantAt(90),
          },
        },
      },
    ]);
  });

  it("about a booking that awaits confirmation is ignored, and its confirmation is a booking", () => {
    const requested = calcom("BOOKING_REQUESTED", UID);
    const pending = calcom("BOOKING_CREATED", UID, { payload: { status: "PENDING" } });
    for (const payload of [requested, pending]) expect(translateCalcom(payload, ABOUT).kind).toBe("ignored");
    expect(factsOf(calcom("BOOKING_CREATED", UID))).toMatchObject([{ type: "meeting.booked" }]);
  });

  it.each(["BOOKING_RESCHEDULED", "BOOKING_CREATED"])("%s with a former uid replaces its meeting", (event) => {
    const moved = calcom(event, "new-uid", {
      payload: { rescheduleUid: UID, rescheduleStartTime: "2026-11-20T10:00:00Z" },
    });
    const [former] = meetingIdsOf(calcom("BOOKING_CREATED", UID));
    expect(factsOf(moved)).toMatchObject([{ type: "meeting.rescheduled", detail: { replaces: former } }]);
  });

  it.each(["BOOKING_CANCELLED", "BOOKING_REJECTED"])("%s is a cancellation", (event) => {
    expect(factsOf(calcom(event, UID))).toMatchObject([{ type: "meeting.cancelled" }]);
  });

  it("about a no-show concerns the attendees that it names, with the meeting ids of their bookings", () => {
    const [ida, bo, cy] = ["ida@example.com", "bo@example.com", "cy@example.com"];
    const booked = calcom("BOOKING_CREATED", UID, {
      payload: { attendees: [ida, bo, cy].map((one) => calcomAttendee(one)) },
    });
    const [idOfIda, idOfBo] = meetingIdsOf(booked);
    const attendees = [{ email: "IDA@example.com", noShow: true }, { email: bo, noShow: false }, { email: cy }];
    expect(factsOf(calcomNoShow(UID, attendees))).toMatchObject([
      {
        type: "meeting.missed",
        detail: { lead: { email: "IDA@example.com" }, meeting: { id: idOfIda, startsAt: null } },
      },
      { type: "meeting.booked", detail: { lead: { email: bo }, meeting: { id: idOfBo, endsAt: null } } },
    ]);
  });

  it("about a seat that is cancelled leaves the meetings of the other attendees alone", () => {
    const all = ["ida@example.com", "bo@example.com"].map((one) => calcomAttendee(one));
    const [, idOfBo] = meetingIdsOf(calcom("BOOKING_CREATED", UID, { payload: { attendees: all } }));
    expect(meetingIdsOf(calcom("BOOKING_CANCELLED", UID, { payload: { attendees: all.slice(1) } }))).toEqual([idOfBo]);
  });

  it("gives each attendee the meeting, except the organiser and members of the team", () => {
    const attendees = ["ida@example.com", "Host@acme.test", "second@acme.test", "bo@example.com"];
    const payload = {
      attendees: attendees.map((one) => calcomAttendee(one)),
      team: { id: 1, name: "Sales", members: [{ email: "second@acme.test" }] },
    };
    expect(leadsOf(calcom("BOOKING_CREATED", UID, { payload }))).toEqual([
      { email: "ida@example.com" },
      { email: "bo@example.com" },
    ]);
    const ownTest = calcom("BOOKING_CREATED", UID, { payload: { attendees: [calcomAttendee("host@acme.test")] } });
    expect(translateCalcom(ownTest, ABOUT).kind).toBe("ignored");
  });

  it("names the booker by the number of the form too, and no other attendee", () => {
    const payload = {
      attendees: [calcomAttendee("ida@example.com"), calcomAttendee("bo@example.com")],
      responses: { email: { value: "bo@example.com" }, attendeePhoneNumber: { value: "+491711234567" } },
    };
    expect(leadsOf(calcom("BOOKING_CREATED", UID, { payload }))).toEqual([
      { email: "ida@example.com" },
      { email: "bo@example.com", phone: "+491711234567" },
    ]);
  });

  it("names the booker by the number of a phone call too", () => {
    const location = (value: string, optionValue: string) => ({
      responses: {
        email: { value: "ida@example.com" },
        location: { label: "location", value: { value, optionValue } },
      },
    });
    const called = calcom("BOOKING_CREATED", UID, { payload: location("phone", "+491711234567") });
    expect(leadsOf(called)).toEqual([{ email: "ida@example.com", phone: "+491711234567" }]);
    for (const other of [
      location("userPhone", "+4930123456"),
      location("phone", ""),
      location("attendeeInPerson", "Delhi"),
    ])
      expect(leadsOf(calcom("BOOKING_CREATED", UID, { payload: other }))).toEqual([{ email: "ida@example.com" }]);
  });

  it("names an attendee with a made-up address by number", () => {
    const payload = { attendees: [calcomAttendee("491711234567@sms.cal.com")], responses: {} };
    expect(leadsOf(calcom("BOOKING_CREATED", UID, { payload }))).toEqual([{ phone: "+491711234567" }]);
  });

  it("with as many attendees and hosts as a request may hold is read in time", () => {
    const many = (name: string, count: number) =>
      Array.from({ length: count }, (_, index) => calcomAttendee(`${name}${index}@example.com`));
    const payload = { attendees: many("guest", 4_000), team: { members: many("host", 4_000) } };
    const start = performance.now();
    expect(factsOf(calcom("BOOKING_CREATED", UID, { payload }))).toHaveLength(4_000);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it("without attendees names the booker of the form, and without any address or number is a fault", () => {
    expect(leadsOf(calcom("BOOKING_CREATED", UID, { payload: { attendees: [] } }))).toEqual([
      { email: "ida@example.com" },
    ]);
    const nobody = calcom("BOOKING_CREATED", UID, { payload: { attendees: [{ name: "Ida" }], responses: null } });
    expect(translateCalcom(nobody, ABOUT)).toEqual({
      kind: "fault",
      reason: "payload: names no address and no number",
    });
  });

  it.each(["PING", "MEETING_ENDED", "BOOKING_PAID", "OOO_CREATED", "constructor"])("%s is ignored", (triggerEvent) => {
    expect(translateCalcom({ triggerEvent, createdAt: "2026-11-20T09:00:00Z" }, ABOUT).kind).toBe("ignored");
  });

  it("made by a custom template is a fault that says so, without values", () => {
    const custom = { content: "A new event", booker: "Ida Sommer", email: "ida@example.com" };
    for (const payload of [custom, { triggerEvent: "BOOKING_CREATED", payload: custom }]) {
      const translation = translateCalcom(payload, ABOUT);
      expect(translation).toMatchObject({ kind: "fault", reason: expect.stringContaining("custom payload template") });
      expect(JSON.stringify(translation)).not.toMatch(/ida/i);
    }
  });

  it("always gives facts that the intake accepts, for any content of its other fields", () => {
    const odd = fc.oneof(fc.constant(null), fc.integer(), fc.string(), fc.constant([]), fc.constant({ value: 1 }));
    const fields = ["startTime", "endTime", "rescheduleUid", "organizer", "team", "responses", "smsReminderNumber"];
    const event = fc.constantFrom("BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED");
    fc.assert(
      fc.property(event, fc.dictionary(fc.constantFrom(...fields), odd), (name, payload) => {
        for (const { type, detail } of factsOf(calcom(name, UID, { payload }))) {
          expect(parseFact(type, detail)).toMatchObject({ ok: true });
        }
      }),
    );
  });
});
