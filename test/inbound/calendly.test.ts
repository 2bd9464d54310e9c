import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { translateCalendly } from "../../lib/inbound/calendly.ts";
import { parseFact } from "../../lib/inbound/parse-event.ts";
import type { TranslatedFact } from "../../lib/inbound/translation.ts";
import { anInvitee, calendly, calendlyInstant, calendlyRescheduled } from "../support/booking-payloads.ts";

const ABOUT = { workspaceId: "0192d0c4-0000-7000-8000-000000000001", receivedAt: new Date("2026-11-20T12:00:00Z") };
const ida = anInvitee();

function factsOf(payload: unknown): readonly TranslatedFact[] {
  const translation = translateCalendly(payload, ABOUT);
  if (translation.kind !== "facts") throw new Error(translation.reason);
  return translation.facts;
}

/** Fails unless there is exactly one. */
function factOf(payload: unknown): TranslatedFact {
  const [fact, ...others] = factsOf(payload);
  if (!fact || others.length > 0) throw new Error("expected one fact");
  return fact;
}

const withoutAddress = { email: null };

describe("a webhook of Calendly", () => {
  it("about a new invitee is a booking, at the invitee's own time", () => {
    expect(factOf(calendly("invitee.created", ida, { at: 5, starts: 60 }))).toEqual({
      type: "meeting.booked",
      detail: {
        workspaceId: ABOUT.workspaceId,
        eventId: expect.stringMatching(new RegExp(`^calendly:${ida.uuid}:[0-9a-f]{24}$`)),
        occurredAt: calendlyInstant(5),
        lead: { email: "ida@example.com" },
        meeting: {
          id: `calendly:${ida.uuid}`,
          startsAt: calendlyInstant(60),
          endsAt: calendlyInstant(90),
        },
      },
    });
  });

  it("about a cancellation is one, at its own time", () => {
    expect(factOf(calendly("invitee.canceled", ida, { at: 9 }))).toMatchObject({
      type: "meeting.cancelled",
      detail: { occurredAt: calendlyInstant(9), meeting: { id: `calendly:${ida.uuid}` } },
    });
  });

  it("about a rescheduled event is a meeting that replaces the former one, and no cancellation", () => {
    const later = anInvitee();
    const { canceled, created } = calendlyRescheduled(ida, later, { at: 9 });
    expect(translateCalendly(canceled, ABOUT)).toMatchObject({ kind: "ignored" });
    expect(factOf(created)).toMatchObject({
      type: "meeting.rescheduled",
      detail: { meeting: { id: `calendly:${later.uuid}` }, replaces: `calendly:${ida.uuid}` },
    });
  });

  it("about a no-show is a missed meeting, and about its removal a booking again", () => {
    expect(factOf(calendly("invitee_no_show.created", ida, { at: 20 }))).toMatchObject({ type: "meeting.missed" });
    expect(factOf(calendly("invitee_no_show.deleted", ida, { at: 21 }))).toMatchObject({
      type: "meeting.booked",
      detail: { occurredAt: calendlyInstant(21) },
    });
  });

  it("gives guests the meeting too, each with an id of its own, and hosts none", () => {
    const guests = [{ email: "Guest@Example.com" }, { email: "host@acme.test" }, { email: "IDA@example.com" }];
    const facts = factsOf(calendly("invitee.created", ida, { scheduledEvent: { event_guests: guests } }));
    expect(facts.map(({ detail }) => "lead" in detail && detail.lead)).toEqual([
      { email: "ida@example.com" },
      { email: "Guest@Example.com" },
    ]);
    expect(new Set(facts.map(({ detail }) => "meeting" in detail && detail.meeting.id)).size).toBe(2);
    expect(
      translateCalendly(calendly("invitee.created", ida, { invitee: { email: "Host@acme.test" } }), ABOUT),
    ).toEqual({
      kind: "ignored",
      reason: "concerns no attendee but hosts",
    });
  });

  it("about a no-show concerns the invitee alone, where a cancellation also concerns the guests", () => {
    const withGuest = { scheduledEvent: { event_guests: [{ email: "guest@example.com" }] } };
    for (const event of ["invitee_no_show.created", "invitee_no_show.deleted"] as const) {
      expect(factsOf(calendly(event, ida, withGuest))).toMatchObject([
        { detail: { lead: { email: "ida@example.com" } } },
      ]);
    }
    expect(factsOf(calendly("invitee.canceled", ida, withGuest))).toHaveLength(2);
  });

  it("without an address names the lead by number, and without both is a fault", () => {
    const byNumber = { ...withoutAddress, text_reminder_number: "+49 171 1234567" };
    expect(factOf(calendly("invitee.created", ida, { invitee: byNumber }))).toMatchObject({
      detail: { lead: { phone: "+49 171 1234567" } },
    });
    expect(translateCalendly(calendly("invitee.created", ida, { invitee: withoutAddress }), ABOUT)).toEqual({
      kind: "fault",
      reason: "payload: names no address and no number",
    });
  });

  it.each<[string, Record<string, unknown>, string | null, object]>([
    [
      "where the host calls",
      { type: "outbound_call", location: "+49 171 1234567" },
      null,
      { phone: "+49 171 1234567" },
    ],
    [
      "for reminders before that of the call",
      { type: "outbound_call", location: "+1 2025550100" },
      "+49 171 1",
      { phone: "+49 171 1" },
    ],
    ["not where the invitee calls the host", { type: "inbound_call", location: "+49 30 1234567" }, null, {}],
    ["not if it is none", { type: "outbound_call", location: "ask me" }, null, {}],
  ])("also names the lead by the number %s", (_what, location, text_reminder_number, number) => {
    const sent = calendly("invitee.created", ida, { invitee: { text_reminder_number }, scheduledEvent: { location } });
    expect(factOf(sent)).toMatchObject({ detail: { lead: { email: "ida@example.com", ...number } } });
    expect(Object.keys((factOf(sent).detail as { lead: object }).lead)).toHaveLength(1 + Object.keys(number).length);
  });

  it("about anything else is ignored", () => {
    for (const event of ["routing_form_submission.created", "constructor"]) {
      expect(translateCalendly({ event, payload: {} }, ABOUT)).toMatchObject({ kind: "ignored" });
    }
  });

  it("in another shape is a fault that names what is missing and no value", () => {
    expect(translateCalendly([], ABOUT)).toMatchObject({ kind: "fault" });
    const other = { event: "invitee.created", payload: { invitee: { email: "ida@example.com" } } };
    const reason = expect.stringMatching(/^payload: uri: /);
    expect(translateCalendly(other, ABOUT)).toEqual({ kind: "fault", reason });
    expect(JSON.stringify(translateCalendly(other, ABOUT))).not.toContain("ida@");
  });

  it("keeps its event id when it arrives again or is read from the API, and gets another for another state", () => {
    const payload = (starts: number) => calendly("invitee.created", ida, { starts });
    const eventId = (sent: unknown) => factOf(sent).detail.eventId;
    const fromApi = JSON.parse(JSON.stringify(payload(60)).replaceAll("00.000000Z", "00Z"));
    expect(eventId(fromApi)).toBe(eventId(payload(60)));
    expect(eventId(payload(61))).not.toBe(eventId(payload(60)));
  });

  it("always gives facts that the intake accepts, for any content of its other fields", () => {
    const odd = fc.oneof(fc.constant(null), fc.integer(), fc.string(), fc.constant([]), fc.constant({ value: 1 }));
    const fields = ["scheduled_event", "old_invitee", "created_at", "cancellation", "no_show", "text_reminder_number"];
    const changes = fc.dictionary(fc.constantFrom(...fields), odd);
    const event = fc.constantFrom("invitee.created", "invitee.canceled", "invitee_no_show.created" as const);
    fc.assert(
      fc.property(event, changes, (name, invitee) => {
        for (const { type, detail } of factsOf(calendly(name, ida, { invitee }))) {
          expect(parseFact(type, detail)).toMatchObject({ ok: true });
        }
      }),
    );
  });
});
