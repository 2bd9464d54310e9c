import { beforeAll, describe, expect, it } from "@jest/globals";
import { decide } from "../../lib/domain/decide.ts";
import { loadHolidays } from "../../lib/domain/holidays.ts";
import { ALWAYS_OPEN, aLead, anItem, aStep, type ItemParts, minutesAfter, NOON } from "./items.ts";

beforeAll(loadHolidays);

const OFFICE = { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" };
const NO_TOUCH = aLead().lastTouchAt;
const at = (instant: string, parts: ItemParts) => decide(anItem(parts), new Date(instant));
const atNoon = (parts: ItemParts) => decide(anItem(parts), NOON);
const hold = (reason: string, until: string) => ({ kind: "hold", reason, until: new Date(until) });
const ready = { kind: "send", rule: "ready" };

describe("the time to live", () => {
  const steps = [aStep({ timeToLiveMinutes: 60 })];

  it("expires the step at its end, and not a millisecond before", () => {
    const before = at("2026-06-03T12:59:59.999Z", { steps });
    expect(before).toMatchObject({ ...ready, expiresAt: minutesAfter(NOON, 60) });
    expect(at("2026-06-03T13:00:00.000Z", { steps })).toMatchObject({
      kind: "expire",
      reason: "time_to_live_over",
      rule: "still_fresh",
    });
  });

  it("counts from when the step was due before its first hold", () => {
    const instance = { heldSince: NOON, nextStepDue: minutesAfter(NOON, 50) };
    expect(at("2026-06-03T12:59:59.999Z", { steps, instance })).toMatchObject(ready);
    expect(at("2026-06-03T13:00:00.000Z", { steps, instance }).kind).toBe("expire");
  });

  it("does not apply to a step without one", () => {
    expect(at("2029-06-03T12:00:00.000Z", {})).toMatchObject({ ...ready, expiresAt: null });
  });
});

describe("the send window", () => {
  const workspace = { sendWindow: OFFICE };

  it.each([
    ["before its start", "2026-06-03T06:59:59.999Z", "2026-06-03T07:00Z"],
    ["from its end", "2026-06-03T15:00:00.000Z", "2026-06-04T07:00Z"],
  ])("holds until it opens: %s", (_, now, until) => {
    expect(at(now, { workspace })).toMatchObject({ ...hold("outside_send_window", until), rule: "window_open" });
  });

  it.each(["2026-06-03T07:00:00.000Z", "2026-06-03T14:59:59.999Z"])("lets pass at %s, and returns its end", (now) => {
    expect(at(now, { workspace })).toMatchObject({ ...ready, sendUntil: new Date("2026-06-03T15:00Z") });
  });

  it("uses the lead's own zone", () => {
    const lead = { timeZone: "Asia/Tokyo" };
    expect(at("2026-06-03T08:00Z", { workspace, lead })).toMatchObject(
      hold("outside_send_window", "2026-06-04T00:00Z"),
    );
    expect(at("2026-06-03T08:00Z", { workspace })).toMatchObject(ready);
  });

  it("holds during a closed day, from its first instant to its last", () => {
    const monday = "2026-06-08T07:00Z";
    expect(at("2026-06-05T21:59:59.999Z", { workspace })).toMatchObject(hold("outside_send_window", monday));
    expect(at("2026-06-05T22:00:00.000Z", { workspace })).toMatchObject(hold("closed_day", monday));
    expect(at("2026-06-07T21:59:59.999Z", { workspace })).toMatchObject(hold("closed_day", monday));
    expect(at("2026-06-07T22:00:00.000Z", { workspace })).toMatchObject(hold("outside_send_window", monday));
  });

  it("holds during a public holiday and an own date of the workspace", () => {
    const holidays = { country: "DE", region: null, ownDates: ["2026-12-24"], workingDates: [] };
    const closed = { workspace: { sendWindow: OFFICE, holidays } };
    for (const now of ["2026-12-23T23:00:00.000Z", "2026-12-24T12:00Z", "2026-12-25T12:00Z"]) {
      expect(at(now, closed)).toMatchObject(hold("holiday", "2026-12-28T08:00Z"));
    }
    expect(at("2026-12-23T22:59:59.999Z", closed)).toMatchObject(hold("outside_send_window", "2026-12-28T08:00Z"));
    expect(at("2026-12-24T12:00Z", { workspace })).toMatchObject(ready);
  });

  it("opens at 09:00 on the new clock when computed the evening before spring-forward in Los Angeles", () => {
    const parts = {
      workspace: { sendWindow: { ...OFFICE, days: ALWAYS_OPEN.days } },
      lead: { timeZone: "America/Los_Angeles" },
    };
    expect(at("2026-03-08T02:00Z", parts)).toMatchObject(hold("outside_send_window", "2026-03-08T16:00Z"));
  });

  it.each([
    ["Pacific/Auckland", "09:00", "2026-06-05T21:00Z", "2026-06-07T21:00Z"],
    ["America/Los_Angeles", "17:30", "2026-06-07T00:30Z", "2026-06-09T00:30Z"],
  ])("from Monday to Friday includes no Saturday and no Sunday of %s at %s", (timeZone, start, saturday, monday) => {
    const parts = { workspace: { sendWindow: { ...OFFICE, start, end: "20:00" } }, lead: { timeZone } };
    expect(at(saturday, parts)).toMatchObject(hold("closed_day", monday));
    expect(at(monday, parts)).toMatchObject(ready);
  });
});

describe("impossible send times", () => {
  it.each<[string, ItemParts, string, string]>([
    ["an invalid time", { workspace: { sendWindow: { ...OFFICE, start: "9:00" } } }, "invalid_send_times", '"9:00"'],
    [
      "an unknown country",
      { workspace: { holidays: { country: "XX", region: null, ownDates: [], workingDates: [] } } },
      "invalid_send_times",
      "workspace: holiday_country",
    ],
    ["a window of no day", { workspace: { sendWindow: { ...OFFICE, days: [] } } }, "no_opening", "within a year"],
  ])("hold for a day, and name the fault: %s", (_, parts, reason, named) => {
    expect(atNoon(parts)).toMatchObject({
      ...hold(reason, "2026-06-04T12:00Z"),
      rule: "send_times_known",
      detail: expect.stringContaining(named),
    });
  });
});

describe("the gap", () => {
  const parts = (lastOutboundAt: Date, gapMinutes = 60): ItemParts => ({
    lead: { lastOutboundAt },
    workspace: { gapMinutes },
  });

  it("holds until it is over, and not a millisecond longer", () => {
    const held = at("2026-06-03T12:59:59.999Z", parts(NOON));
    expect(held).toMatchObject({ ...hold("too_soon", "2026-06-03T13:00Z"), rule: "gap_kept" });
    expect(at("2026-06-03T13:00:00.000Z", parts(NOON))).toMatchObject(ready);
  });

  it("of zero minutes still separates two touches at one instant", () => {
    expect(atNoon(parts(NOON, 0))).toMatchObject(hold("too_soon", "2026-06-03T12:00:00.001Z"));
    expect(at("2026-06-03T12:00:00.001Z", parts(NOON, 0))).toMatchObject(ready);
  });

  it("holds until the next opening if it ends outside the send window", () => {
    const office = { lead: { lastOutboundAt: NOON }, workspace: { gapMinutes: 240, sendWindow: OFFICE } };
    expect(at("2026-06-03T12:30Z", office)).toMatchObject(hold("too_soon", "2026-06-04T07:00Z"));
  });
});

describe("the daily limit of a channel", () => {
  const used = (channel: "email" | "sms", when: Date): ItemParts => ({
    lead: { lastTouchAt: { ...NO_TOUCH, [channel]: when } },
  });

  it("is used until the lead's next local day starts", () => {
    const parts = used("email", NOON);
    expect(at("2026-06-03T21:59:59.999Z", parts)).toMatchObject({
      ...hold("channel_used_today", "2026-06-03T22:00Z"),
      rule: "channel_unused_today",
    });
    expect(at("2026-06-03T22:00:00.000Z", parts)).toMatchObject(ready);
  });

  it("does not affect other channels", () => {
    expect(atNoon(used("sms", NOON))).toMatchObject(ready);
    expect(atNoon({ ...used("sms", NOON), steps: [aStep({ channel: "sms" })] }).reason).toBe("channel_used_today");
  });
});

describe("the cap of a day", () => {
  it.each([
    [3, 2, "ready"],
    [3, 3, "daily_cap_reached"],
    [3, 4, "daily_cap_reached"],
    [0, 0, "daily_cap_reached"],
    [null, 4, "ready"],
  ])("of %j with %i used: %s", (dailyCap, dailyCapUsed, reason) => {
    expect(atNoon({ workspace: { dailyCap, dailyCapUsed } }).reason).toBe(reason);
  });

  it("holds until the workspace's next day, for any zone of the lead", () => {
    const workspace = { dailyCap: 1, dailyCapUsed: 1 };
    const held = { ...hold("daily_cap_reached", "2026-06-03T22:00Z"), rule: "below_daily_cap" };
    expect(atNoon({ workspace, lead: { timeZone: "Asia/Tokyo" } })).toMatchObject(held);
  });

  it("holds until the next opening after that day", () => {
    const workspace = { dailyCap: 1, dailyCapUsed: 1, sendWindow: OFFICE };
    expect(atNoon({ workspace })).toMatchObject(hold("daily_cap_reached", "2026-06-04T07:00Z"));
  });
});

it("a decision returns the inputs of the rules on time", () => {
  const [lastOutboundAt, touched] = [minutesAfter(NOON, -3_000), minutesAfter(NOON, -4_000)];
  const workspace = { sendWindow: OFFICE, gapMinutes: 30, dailyCap: 5, dailyCapUsed: 2 };
  const lead = { lastOutboundAt, lastTouchAt: { ...NO_TOUCH, email: touched, sms: lastOutboundAt } };
  const inputs = { ...workspace, lastOutboundAt, lastTouchOnChannelAt: touched };
  expect(atNoon({ workspace, lead }).inputs).toEqual(inputs);
  expect(atNoon({ workspace, lead, steps: [] }).inputs).toEqual({ ...inputs, lastTouchOnChannelAt: null });
});
