import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decide } from "../../lib/domain/decide.ts";
import type { DueItem, LeadFacts } from "../../lib/domain/due-item.ts";
import {
  CHANNELS,
  ENRICHMENT_STATUSES,
  LEAD_STATUSES,
  SEQUENCE_TRIGGERS,
  STEP_CONDITIONS,
} from "../../lib/domain/labels.ts";
import { aLead, anItem, aStep, type ItemParts, minutesAfter, NOON } from "./items.ts";

const decideOn = (parts: ItemParts) => decide(anItem(parts), NOON);
const LATER = minutesAfter(NOON, 60);
const EARLIER = minutesAfter(NOON, -60);

describe("decide", () => {
  it("sends a step without obstacles, rendered for its lead", () => {
    expect(decideOn({})).toMatchObject({
      kind: "send",
      rule: "ready",
      step: { position: 1 },
      message: { subject: "Hello Ada", body: "Shall we talk, Ada?" },
    });
  });

  it("returns the rules that an item passed before the deciding rule", () => {
    const { passed } = decideOn({ lead: { automationEnabled: false } });
    expect(passed).toEqual(["not_booked", "may_be_contacted", "step_left", "workspace_and_sequence_on"]);
  });

  describe("completes", () => {
    it.each<[string, ItemParts, string]>([
      ["a booked lead", { lead: { isBooked: true } }, "meeting_booked"],
      ["a blacklisted lead", { lead: { status: "blacklisted" } }, "blacklisted"],
      ["a lead that opted out", { lead: { optedOutAt: EARLIER } }, "opted_out"],
      ["an unqualified lead", { lead: { status: "unqualified" } }, "unqualified"],
      ["a lead that is not interested", { lead: { status: "not-interested" } }, "not_interested"],
      ["an instance beyond its last step", { instance: { position: 3 } }, "out_of_steps"],
      ["an instance of a sequence without steps", { steps: [] }, "out_of_steps"],
    ])("%s", (_, parts, reason) => {
      expect(decideOn(parts)).toMatchObject({ kind: "complete", reason });
    });

    it("but not a booked lead in a post-booking sequence", () => {
      const parts: ItemParts = { lead: { isBooked: true }, sequence: { triggerOn: "meeting_selected" } };
      expect(decideOn(parts).kind).toBe("send");
    });

    it("even a post-booking sequence of a lead that opted out", () => {
      const parts: ItemParts = { lead: { optedOutAt: EARLIER }, sequence: { triggerOn: "meeting_selected" } };
      expect(decideOn(parts)).toMatchObject({ kind: "complete", reason: "opted_out" });
    });

    it("not for a deleted step in the middle: the next step takes its place", () => {
      const steps = [aStep(), aStep({ position: 5 })];
      expect(decideOn({ steps, instance: { position: 2 } })).toMatchObject({ kind: "send", step: { position: 5 } });
    });
  });

  describe("holds", () => {
    it.each<[string, ItemParts, string, number]>([
      ["a paused workspace", { workspace: { pausedAt: EARLIER } }, "workspace_paused", 15],
      ["a sequence that is switched off", { sequence: { active: false } }, "sequence_inactive", 15],
      ["a time zone that does not exist", { lead: { timeZone: "Mars/Olympus_Mons" } }, "invalid_time_zone", 1_440],
      [
        "a sender that is not one address",
        { workspace: { hasSender: false }, lead: { senderEmail: null } },
        "invalid_sender",
        1_440,
      ],
      ["a lead's own sender that is not one address", { lead: { senderEmail: "a@b, c@d" } }, "invalid_sender", 1_440],
      ["a lead's address for replies with a name", { lead: { replyTo: "A <a@b.example>" } }, "invalid_sender", 1_440],
      ["a lead's sender with a line break in its name", { lead: { senderName: "A\nB" } }, "invalid_sender", 1_440],
      [
        "a condition that this code does not know",
        { steps: [aStep({ condition: "moon_is_full" })] },
        "unknown_condition",
        1_440,
      ],
      ["a template with a fault", { steps: [aStep({ body: "{{ lead.first_name" })] }, "invalid_template", 1_440],
      [
        "a template with an unknown filter",
        { steps: [aStep({ body: "{{ lead.email | shout }}" })] },
        "invalid_template",
        1_440,
      ],
    ])("%s", (_, parts, reason, minutes) => {
      expect(decideOn(parts)).toMatchObject({ kind: "hold", reason, until: minutesAfter(NOON, minutes) });
    });

    it("no step because of the workspace's sender if the lead has its own", () => {
      expect(decideOn({ workspace: { hasSender: false } })).toMatchObject({ kind: "send" });
    });

    it("no step of another channel because of an invalid e-mail sender", () => {
      const workspace = { hasSender: false };
      const lead = { senderEmail: "a@b, c@d" };
      expect(decideOn({ workspace, lead, steps: [aStep({ channel: "sms" })] })).toMatchObject({ kind: "send" });
    });

    it("and reports the row and column of an invalid time zone, not its value", () => {
      expect(decideOn({ lead: { id: "a-lead", timeZone: "Mars/Olympus_Mons" } })).toMatchObject({
        detail: "lead a-lead: time_zone is not a time zone",
      });
      expect(decideOn({ workspace: { id: "a-workspace", timeZone: "Nowhere" } })).toMatchObject({
        detail: "workspace a-workspace: time_zone is not a time zone",
      });
    });
  });

  describe("pauses", () => {
    it("a lead with automation switched off", () => {
      expect(decideOn({ lead: { automationEnabled: false } })).toMatchObject({ kind: "pause", reason: "manual" });
    });

    it("a lead with an unanswered reply, until it counts as ghosted", () => {
      const lead = { lastOutboundAt: EARLIER, lastInboundAt: minutesAfter(EARLIER, 1) };
      expect(decideOn({ lead })).toMatchObject({
        kind: "pause",
        reason: "lead_replied",
        recheckAt: minutesAfter(EARLIER, 1 + 7 * 24 * 60),
      });
    });

    it("a lead that wrote before anything was sent", () => {
      expect(decideOn({ lead: { lastInboundAt: EARLIER } })).toMatchObject({ kind: "pause", reason: "lead_replied" });
    });

    it("not a lead with an answered reply, even in the same instant", () => {
      expect(decideOn({ lead: { lastInboundAt: EARLIER, lastOutboundAt: EARLIER } }).kind).toBe("send");
    });

    it("a snoozed lead until the snooze is over, and not an instant longer", () => {
      const pause = decideOn({ lead: { snoozedUntil: new Date(NOON.getTime() + 1) } });
      expect(pause).toMatchObject({ kind: "pause", reason: "lead_snoozed", recheckAt: new Date(NOON.getTime() + 1) });
      expect(decideOn({ lead: { snoozedUntil: NOON } }).kind).toBe("send");
    });

    it.each([null, "", "  "])("while a missing address (%j) is looked up", (email) => {
      const lead: Partial<LeadFacts> = { email, enrichmentStatus: "pending" };
      expect(decideOn({ lead })).toMatchObject({ kind: "pause", reason: "awaiting_enrichment" });
    });

    it("when the lead lacks values of the template, naming all of them", () => {
      const steps = [aStep({ subject: "{{ lead.first_name }}", body: "{{ lead.company }} {{ lead.last_name }}" })];
      const lead = { firstName: null, company: "  ", lastName: "Byron" };
      expect(decideOn({ steps, lead })).toMatchObject({
        kind: "pause",
        reason: "missing_data",
        detail: "missing: lead.first_name, lead.company",
      });
    });

    it("not if the template has a default", () => {
      const steps = [aStep({ subject: "Hi", body: "Dear {{ lead.first_name | default: 'reader' }}" })];
      const decision = decideOn({ steps, lead: { firstName: null } });
      expect(decision).toMatchObject({ kind: "send", message: { body: "Dear reader" } });
    });
  });

  describe("skips", () => {
    it.each<[string, ItemParts, string]>([
      [
        "a step for leads with a phone",
        { steps: [aStep({ condition: "phone_provided" })], lead: { phone: " " } },
        "condition_phone_provided",
      ],
      [
        "a step for connected leads",
        { steps: [aStep({ condition: "linkedin_connected" })] },
        "condition_linkedin_connected",
      ],
      [
        "a step for leads that never replied",
        { steps: [aStep({ condition: "no_reply" })], lead: { lastInboundAt: EARLIER, lastOutboundAt: LATER } },
        "condition_no_reply",
      ],
      ["an e-mail to a lead without an address", { lead: { email: null } }, "missing_email"],
      [
        "a text to a lead whose phone was not found",
        { steps: [aStep({ channel: "sms" })], lead: { phone: null, enrichmentStatus: "failed" } },
        "missing_phone",
      ],
    ])("%s", (_, parts, reason) => {
      expect(decideOn(parts)).toMatchObject({ kind: "skip", reason });
    });

    it.each<[string, ItemParts]>([
      ["a phone", { steps: [aStep({ condition: "phone_provided" })] }],
      ["a connection", { steps: [aStep({ condition: "linkedin_connected" })], lead: { linkedinConnectedAt: EARLIER } }],
      ["no reply so far", { steps: [aStep({ condition: "no_reply" })] }],
      ["a channel that needs no address", { steps: [aStep({ channel: "task" })], lead: { email: null, phone: null } }],
    ])("not a step with a satisfied condition: %s", (_, parts) => {
      expect(decideOn(parts).kind).toBe("send");
    });
  });

  it("requests approval with the text that would be sent", () => {
    expect(decideOn({ steps: [aStep({ needsApproval: true })] })).toMatchObject({
      kind: "awaitApproval",
      message: { subject: "Hello Ada" },
    });
  });

  it.each<[Partial<LeadFacts>, string, string, string]>([
    [{ timeZone: "Asia/Tokyo" }, "Europe/Berlin", "Asia/Tokyo", "lead"],
    [{}, "Europe/Berlin", "Europe/Berlin", "workspace"],
  ])("returns the time zone it used and its owner", (lead, timeZone, zone, from) => {
    expect(decideOn({ lead, workspace: { timeZone } }).zone).toEqual({ zone, from });
  });
});

const instant = fc.date({ min: new Date("2026-01-01Z"), max: new Date("2026-12-31Z"), noInvalidDate: true });
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });

const items: fc.Arbitrary<DueItem> = fc
  .record({
    lead: fc.record({
      status: fc.constantFrom(...LEAD_STATUSES),
      isBooked: fc.boolean(),
      automationEnabled: fc.boolean(),
      optedOutAt: maybe(instant),
      snoozedUntil: maybe(instant),
      lastInboundAt: maybe(instant),
      lastOutboundAt: maybe(instant),
      enrichmentStatus: fc.constantFrom(...ENRICHMENT_STATUSES),
      email: maybe(fc.constantFrom("ada@example.com", "")),
      phone: maybe(fc.constantFrom("+1-555-0100", "")),
      firstName: maybe(fc.constantFrom("Ada", "")),
      timeZone: maybe(fc.constantFrom("Asia/Tokyo", "Mars/Olympus_Mons")),
    }),
    triggerOn: fc.constantFrom(...SEQUENCE_TRIGGERS),
    active: fc.boolean(),
    pausedAt: maybe(instant),
    position: fc.integer({ min: 1, max: 4 }),
    steps: fc.array(
      fc.record({
        channel: fc.constantFrom(...CHANNELS),
        condition: fc.constantFrom(...STEP_CONDITIONS, "moon_is_full"),
        needsApproval: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ lead, triggerOn, active, pausedAt, position, steps }) =>
    anItem({
      lead,
      sequence: { triggerOn, active },
      workspace: { pausedAt },
      instance: { position },
      steps: steps.map((step, index) => aStep({ ...step, position: index + 1 })),
    }),
  );

describe("for any lead, sequence and instant", () => {
  it("the same item and instant give the same decision", () => {
    fc.assert(fc.property(items, instant, (item, now) => expect(decide(item, now)).toEqual(decide(item, now))));
  });

  it("a lead that is booked, opted out, blacklisted, unqualified or not interested gets nothing", () => {
    fc.assert(
      fc.property(items, instant, (item, now) => {
        const { kind } = decide(item, now);
        const stopped =
          (item.lead.isBooked && item.sequence.triggerOn !== "meeting_selected") ||
          item.lead.optedOutAt !== null ||
          ["blacklisted", "unqualified", "not-interested"].includes(item.lead.status);
        return !stopped || kind === "complete";
      }),
    );
  });

  it("nothing is sent during a waiting reply, a snooze, a pause or while switched off", () => {
    fc.assert(
      fc.property(items, instant, (item, now) => {
        const { lead, workspace, sequence } = item;
        const waiting = lead.lastInboundAt && (!lead.lastOutboundAt || lead.lastInboundAt > lead.lastOutboundAt);
        const quiet = waiting || (lead.snoozedUntil && lead.snoozedUntil > now) || !lead.automationEnabled;
        const off = workspace.pausedAt || !sequence.active;
        return !(quiet || off) || !["send", "awaitApproval"].includes(decide(item, now).kind);
      }),
    );
  });

  it("a text that is sent contains no placeholder and has an address", () => {
    fc.assert(
      fc.property(items, instant, (item, now) => {
        const decision = decide(item, now);
        if (decision.kind !== "send") return;
        expect(decision.message.body).toBe("Shall we talk, Ada?");
        if (decision.step.channel === "email") expect(item.lead.email).toBe(aLead().email);
        if (decision.step.channel === "sms") expect(item.lead.phone).toBe(aLead().phone);
      }),
    );
  });

  it("every hold, and every pause with an end, ends after now", () => {
    fc.assert(
      fc.property(items, instant, (item, now) => {
        const decision = decide(item, now);
        if (decision.kind === "hold") expect(decision.until > now).toBe(true);
        if (decision.kind === "pause" && decision.reason === "lead_snoozed") {
          expect(decision.recheckAt && decision.recheckAt > now).toBe(true);
        }
      }),
    );
  });
});
