import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { decide } from "../../lib/domain/decide.ts";
import { blockersOf, outlookOf } from "../../lib/domain/outlook.ts";
import { anItem, aStep, minutesAfter, NOON } from "./items.ts";

const WEEK = { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" };

describe("the rules that stand against a step", () => {
  it("are none if it is ready", () => {
    expect(blockersOf(anItem(), NOON)).toEqual([]);
  });

  it("are all of them, the deciding one first", () => {
    const item = anItem({
      lead: { snoozedUntil: minutesAfter(NOON, 60), lastOutboundAt: minutesAfter(NOON, -5) },
      workspace: { pausedAt: NOON, gapMinutes: 60, dailyCap: 0 },
    });
    const reasons = blockersOf(item, NOON).map(({ reason }) => reason);
    expect(reasons).toEqual(["workspace_paused", "lead_snoozed", "too_soon", "daily_cap_reached"]);
    expect(reasons[0]).toBe(decide(item, NOON).reason);
  });

  it("end with what makes the later rules unanswerable", () => {
    expect(blockersOf(anItem({ steps: [] }), NOON).map(({ reason }) => reason)).toEqual(["out_of_steps"]);
    const lost = anItem({ lead: { timeZone: "Nowhere/Else", firstName: null } });
    expect(blockersOf(lost, NOON).map(({ reason }) => reason)).toEqual(["invalid_time_zone"]);
  });
});

describe("when a step goes if nothing else happens", () => {
  it("is now for a ready step, and its due time for a later one", () => {
    expect(outlookOf(anItem(), NOON)).toEqual({ goes: "at", at: NOON, needsApproval: false });
    const due = minutesAfter(NOON, 600);
    expect(outlookOf(anItem({ instance: { nextStepDue: due } }), NOON)).toMatchObject({ at: due });
  });

  it("is the next opening after the gap, across the weekend", () => {
    const friday = new Date("2026-06-05T16:50:00.000Z");
    const item = anItem({
      lead: { lastOutboundAt: friday },
      workspace: { sendWindow: WEEK, gapMinutes: 60 },
      instance: { nextStepDue: friday },
    });
    expect(outlookOf(item, friday)).toMatchObject({ goes: "at", at: new Date("2026-06-08T07:00:00.000Z") });
  });

  it("is the next day if the cap of today is used", () => {
    const item = anItem({ workspace: { dailyCap: 5, dailyCapUsed: 5 } });
    expect(outlookOf(item, NOON)).toMatchObject({ goes: "at", at: new Date("2026-06-03T22:00:00.000Z") });
  });

  it("names what has to change first", () => {
    expect(outlookOf(anItem({ workspace: { pausedAt: NOON } }), NOON)).toEqual({
      goes: "not",
      rule: "workspace_and_sequence_on",
      reason: "workspace_paused",
    });
    expect(outlookOf(anItem({ lead: { firstName: null } }), NOON)).toMatchObject({ reason: "missing_data" });
    expect(outlookOf(anItem({ workspace: { dailyCap: 0 } }), NOON)).toMatchObject({ goes: "not" });
  });

  it("says that a step waits for approval", () => {
    expect(outlookOf(anItem({ steps: [aStep({ needsApproval: true })] }), NOON)).toMatchObject({ needsApproval: true });
  });

  it("agrees with the decision at that time, and no earlier minute would do", () => {
    const places = fc.record({
      minute: fc.integer({ min: 0, max: 7 * 24 * 60 }),
      lastOut: fc.option(fc.integer({ min: 0, max: 3_000 }), { nil: null }),
      gapMinutes: fc.constantFrom(0, 30, 1_440, 4_000),
      zone: fc.constantFrom("UTC", "Asia/Kolkata", "America/Sao_Paulo", "Australia/Lord_Howe"),
      start: fc.constantFrom("09:00", "22:00"),
    });
    fc.assert(
      fc.property(places, ({ minute, lastOut, gapMinutes, zone, start }) => {
        const now = minutesAfter(NOON, minute);
        const item = anItem({
          lead: { timeZone: zone, lastOutboundAt: lastOut === null ? null : minutesAfter(now, -lastOut) },
          instance: { nextStepDue: now },
          workspace: { gapMinutes, sendWindow: { days: [1, 2, 3, 4, 5], start, end: "06:00" } },
        });
        const outlook = outlookOf(item, now);
        if (outlook.goes !== "at") throw new Error(outlook.reason);
        expect(decide(item, outlook.at).kind).toBe("send");
        if (outlook.at > now) expect(decide(item, minutesAfter(outlook.at, -1)).kind).toBe("hold");
      }),
    );
  });
});
