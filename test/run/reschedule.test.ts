import { describe, expect, it } from "@jest/globals";
import type { SendFacts } from "../../lib/domain/send-times.ts";
import type { TouchSendFacts } from "../../lib/run/delivery-ports.ts";
import { rescheduled } from "../../lib/run/settlement.ts";
import { aLead, anItem, type ItemParts, minutesAfter, NOON } from "../domain/items.ts";

const OFFICE = { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" };
const ENDED = { touchId: "touch", reason: "outside_send_window" };

function factsOf(parts: ItemParts): SendFacts {
  const { lead, workspace } = anItem(parts);
  return { lead, workspace, channel: "email" };
}

function nextOf(parts: ItemParts, over: Partial<TouchSendFacts> = {}, now = NOON) {
  const facts = { workspaceId: "w", switchedOff: false, snoozedUntil: null, triedLast: false, facts: factsOf(parts) };
  return rescheduled(ENDED, { ...facts, ...over }, now);
}

const EVENING = new Date("2026-06-03T16:00Z");
const office = { workspace: { sendWindow: OFFICE } };

describe("a claimed touch that may not go", () => {
  it("waits for the next opening and returns its end, with the reason for the wait", () => {
    expect(nextOf(office, {}, EVENING)).toEqual({
      ...ENDED,
      nextAttemptAt: new Date("2026-06-04T07:00Z"),
      sendUntil: new Date("2026-06-04T15:00Z"),
      expectedOutboundAt: null,
    });
  });

  it("goes at once if no rule holds it any more", () => {
    expect(nextOf(office)).toMatchObject({ nextAttemptAt: NOON, sendUntil: new Date("2026-06-03T15:00Z") });
  });

  it("is rechecked after a quarter of an hour while something is switched off, and not sent before", () => {
    const lead = { lastOutboundAt: minutesAfter(NOON, -500) };
    expect(nextOf({ ...office, lead }, { switchedOff: true })).toEqual({
      ...ENDED,
      nextAttemptAt: minutesAfter(NOON, 15),
      sendUntil: null,
      expectedOutboundAt: null,
    });
  });

  it.each([
    ["inside the window", "2026-06-04T10:00Z", "2026-06-04T10:00Z"],
    ["outside of it", "2026-06-04T18:00Z", "2026-06-05T07:00Z"],
    ["long ago", "2026-06-01T10:00Z", NOON.toISOString()],
  ])("waits for the end of a snooze %s", (_, snoozedUntil, next) => {
    expect(nextOf(office, { snoozedUntil: new Date(snoozedUntil) }).nextAttemptAt).toEqual(new Date(next));
  });

  describe("after another touch of the lead", () => {
    const lastOutboundAt = minutesAfter(NOON, -10);
    const withGap = { lead: { lastOutboundAt }, workspace: { gapMinutes: 60 } };
    const withChannel = { lead: { lastTouchAt: { ...aLead().lastTouchAt, email: lastOutboundAt } } };

    it("waits for the end of the gap, and returns the touch that it was decided after", () => {
      const expected = { nextAttemptAt: minutesAfter(NOON, 50), expectedOutboundAt: lastOutboundAt };
      expect(nextOf(withGap)).toMatchObject(expected);
    });

    it("waits for the next local day if that touch used its channel", () => {
      expect(nextOf(withChannel).nextAttemptAt).toEqual(new Date("2026-06-03T22:00Z"));
    });

    it("waits only for the window after an attempt of its own", () => {
      expect(nextOf(withGap, { triedLast: true })).toMatchObject({
        nextAttemptAt: NOON,
        expectedOutboundAt: lastOutboundAt,
      });
      expect(nextOf(withChannel, { triedLast: true }).nextAttemptAt).toEqual(NOON);
      const shut = { ...withGap, workspace: { gapMinutes: 60, sendWindow: OFFICE } };
      expect(nextOf(shut, { triedLast: true }, EVENING).nextAttemptAt).toEqual(new Date("2026-06-04T07:00Z"));
    });
  });

  it.each<[string, ItemParts, string]>([
    ["an invalid time zone", { lead: { timeZone: "PST" } }, "invalid_time_zone"],
    ["a date in place of a time zone", { lead: { timeZone: "2026-06-03T16:00Z" } }, "invalid_time_zone"],
    ["an invalid window", { workspace: { sendWindow: { ...OFFICE, start: "9:00" } } }, "invalid_send_times"],
    ["a window that never opens", { workspace: { sendWindow: { ...OFFICE, days: [] } } }, "no_opening"],
  ])("waits a day for a person because of %s, which is its reason", (_, parts, reason) => {
    expect(nextOf(parts)).toMatchObject({ reason, nextAttemptAt: minutesAfter(NOON, 24 * 60), sendUntil: null });
  });
});
