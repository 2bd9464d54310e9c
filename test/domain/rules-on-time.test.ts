import { beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decide, RULES } from "../../lib/domain/decide.ts";
import type { Decision } from "../../lib/domain/decision.ts";
import type { WorkspaceFacts } from "../../lib/domain/due-item.ts";
import { loadHolidays } from "../../lib/domain/holidays.ts";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { anItem, aStep, type ItemParts, minutesAfter, NOON } from "./items.ts";
import { DAY, dateOf, FIRST, LAST, MINUTE, timeOf, wallClock, weekdayOf, ZONES } from "./wall-clock.ts";

beforeAll(loadHolidays);

const at = (instant: string) => new Date(instant);
const decideAt = (parts: ItemParts, now = NOON): Decision => decide(anItem(parts), now);
const until = (decision: Decision) => ("until" in decision ? decision.until.toISOString() : decision.kind);

const OFFICE = { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" };
const inZone = (timeZone: string, more: Partial<WorkspaceFacts> = {}) => ({
  workspace: { timeZone, sendWindow: OFFICE, ...more },
});
const NEVER = { email: null, sms: null, webhook: null, task: null };

describe("the send window", () => {
  it.each<[string, string, string, string, string]>([
    [
      "opens at its start",
      "Europe/Berlin",
      "2026-06-03T06:59:59.999Z",
      "outside_send_window",
      "2026-06-03T07:00:00.000Z",
    ],
    [
      "is shut at its end",
      "Europe/Berlin",
      "2026-06-03T15:00:00.000Z",
      "outside_send_window",
      "2026-06-04T07:00:00.000Z",
    ],
    ["is shut at the weekend", "Europe/Berlin", "2026-06-06T10:00:00.000Z", "closed_day", "2026-06-08T07:00:00.000Z"],
    // The evening before the clocks spring forward: nine o'clock comes after 23 hours less.
    ["in Los Angeles", "America/Los_Angeles", "2026-03-07T23:00:00.000Z", "closed_day", "2026-03-09T16:00:00.000Z"],
    // Friday evening there, Saturday in UTC; and the other way round.
    [
      "of a Friday in Los Angeles",
      "America/Los_Angeles",
      "2026-06-06T00:30:00.000Z",
      "outside_send_window",
      "2026-06-08T16:00:00.000Z",
    ],
    [
      "of a Saturday in Auckland",
      "Pacific/Auckland",
      "2026-06-05T21:30:00.000Z",
      "closed_day",
      "2026-06-07T21:00:00.000Z",
    ],
  ])("%s in the lead's zone: %s at %s", (_, zone, now, reason, opening) => {
    const decision = decideAt(inZone(zone), at(now));
    expect(decision).toMatchObject({ kind: "hold", reason, rule: "window_open" });
    expect(until(decision)).toBe(opening);
    expect(decideAt(inZone(zone), at(opening)).kind).toBe("send");
  });

  it("asked for on the evening before spring-forward opens at the local nine o'clock, an hour sooner in UTC", () => {
    const sunday = { ...OFFICE, days: [7] };
    const decision = decideAt(inZone("America/Los_Angeles", { sendWindow: sunday }), at("2026-03-08T04:00:00.000Z"));
    expect(until(decision)).toBe("2026-03-08T16:00:00.000Z");
  });

  it("runs overnight, and belongs to the day on which it opens", () => {
    const night = { days: [5], start: "22:00", end: "06:00" };
    const inUtc = inZone("UTC", { sendWindow: night });
    expect(decideAt(inUtc, at("2026-06-06T05:59:59.999Z")).kind).toBe("send");
    expect(until(decideAt(inUtc, at("2026-06-06T06:00:00.000Z")))).toBe("2026-06-12T22:00:00.000Z");
  });

  it("is that of the lead's zone where it has one", () => {
    const lead = { timeZone: "Asia/Tokyo" };
    const decision = decideAt({ lead, ...inZone("Europe/Berlin") }, at("2026-06-03T10:00:00.000Z"));
    expect(decision).toMatchObject({ reason: "outside_send_window", zone: { zone: "Asia/Tokyo", from: "lead" } });
    expect(until(decision)).toBe("2026-06-04T00:00:00.000Z");
  });

  it("does not open on a holiday of the country or on a date of the workspace's own", () => {
    const holidays = { country: "DE", region: "BE", ownDates: ["2026-12-28"] };
    const decision = decideAt(inZone("Europe/Berlin", { holidays }), at("2026-12-25T10:00:00.000Z"));
    expect(decision).toMatchObject({ kind: "hold", reason: "holiday" });
    // Christmas is a Friday and a Saturday that year; Monday is the workspace's own.
    expect(until(decision)).toBe("2026-12-29T08:00:00.000Z");
    const none = { country: null, region: null, ownDates: [] };
    expect(decideAt(inZone("Europe/Berlin", { holidays: none }), at("2026-12-25T10:00:00.000Z")).kind).toBe("send");
  });

  it("that goes with no place, no time or no day is told, and looked at again in a day", () => {
    const broken: readonly [Partial<WorkspaceFacts>, string, RegExp][] = [
      [{ holidays: { country: "XX", region: null, ownDates: [] } }, "invalid_send_times", /XX/],
      [{ sendWindow: { ...OFFICE, start: "9" } }, "invalid_send_times", /"9"/],
      [{ sendWindow: { ...OFFICE, days: [] } }, "no_opening", /within a year/],
    ];
    for (const [workspace, reason, detail] of broken) {
      const decision = decideAt({ workspace });
      expect(decision).toMatchObject({ kind: "hold", reason, until: minutesAfter(NOON, 24 * 60) });
      expect(decision).toMatchObject({ detail: expect.stringMatching(detail) });
    }
  });
});

describe("the gap after the last touch", () => {
  const touchedAgo = (minutes: number, lastOutboundAt: Date, now = NOON) =>
    decideAt({ lead: { lastOutboundAt }, workspace: { gapMinutes: minutes } }, now);

  it("is over when it is over, and not a millisecond before", () => {
    const last = minutesAfter(NOON, -90);
    const early = touchedAgo(90, last, new Date(NOON.getTime() - 1));
    expect(early).toMatchObject({ kind: "hold", reason: "too_soon", until: NOON });
    expect(touchedAgo(90, last).kind).toBe("send");
  });

  it("of nothing still keeps one run from reaching a lead twice", () => {
    expect(touchedAgo(0, NOON)).toMatchObject({ reason: "too_soon", until: new Date(NOON.getTime() + 1) });
    expect(touchedAgo(0, new Date(NOON.getTime() - 1)).kind).toBe("send");
  });

  it("that ends while the window is shut holds until it opens", () => {
    const parts = { ...inZone("UTC", { gapMinutes: 6 * 60 }), lead: { lastOutboundAt: at("2026-06-05T11:30:00Z") } };
    expect(until(decideAt(parts, at("2026-06-05T12:00:00Z")))).toBe("2026-06-08T09:00:00.000Z");
  });
});

describe("a channel", () => {
  it.each(CHANNELS)("reaches a lead once a local day: %s", (channel) => {
    const steps = [aStep({ channel })];
    const lead = { timeZone: "Pacific/Auckland", lastTouchAt: { ...NEVER, [channel]: at("2026-06-03T11:59:59Z") } };
    // Midnight in Auckland is at noon in UTC.
    const before = decideAt({ steps, lead }, at("2026-06-03T11:59:59.999Z"));
    expect(before).toMatchObject({ kind: "hold", reason: "channel_used_today", until: NOON });
    expect(decideAt({ steps, lead }, NOON).kind).toBe("send");
  });

  it("does not stand in the way of another one", () => {
    const lastTouchAt = { ...NEVER, sms: NOON, webhook: NOON, task: NOON };
    expect(decideAt({ lead: { lastTouchAt } }).kind).toBe("send");
  });
});

describe("the cap of the day", () => {
  it("holds until the workspace's next local day opens, and takes what is below it", () => {
    const full = inZone("America/Los_Angeles", { dailyCap: 5, dailyCapUsed: 5 });
    const decision = decideAt(full, at("2026-06-03T18:00:00Z"));
    expect(decision).toMatchObject({ kind: "hold", reason: "daily_cap_reached", rule: "below_daily_cap" });
    expect(until(decision)).toBe("2026-06-04T16:00:00.000Z");
    const room = inZone("America/Los_Angeles", { dailyCap: 5, dailyCapUsed: 4 });
    expect(decideAt(room, at("2026-06-03T18:00:00Z")).kind).toBe("send");
    expect(decideAt(inZone("America/Los_Angeles", { dailyCapUsed: 99 }), at("2026-06-03T18:00:00Z")).kind).toBe("send");
  });
});

describe("the time to live", () => {
  const old = (minutes: number, instance: ItemParts["instance"] = {}) =>
    decideAt({
      steps: [aStep({ timeToLiveMinutes: 60 })],
      instance: { nextStepDue: minutesAfter(NOON, -minutes), ...instance },
    });

  it("ends to the millisecond, counted from when the step was due before any hold", () => {
    expect(old(60)).toMatchObject({ kind: "expire", reason: "time_to_live_over", rule: "still_fresh" });
    expect(old(59)).toMatchObject({ kind: "send", expiresAt: minutesAfter(NOON, 1) });
    expect(old(0, { heldSince: minutesAfter(NOON, -60) }).kind).toBe("expire");
  });

  it("is for ever where there is none", () => {
    expect(decideAt({ instance: { nextStepDue: at("2000-01-01T00:00:00Z") } })).toMatchObject({
      kind: "send",
      expiresAt: null,
    });
  });
});

describe("the order of the rules on time", () => {
  const everything = {
    lead: { lastOutboundAt: NOON, lastTouchAt: { ...NEVER, email: NOON } },
    steps: [aStep({ timeToLiveMinutes: 1, body: "{{ lead.nothing }}" })],
    instance: { nextStepDue: minutesAfter(NOON, -9) },
    workspace: { sendWindow: { ...OFFICE, days: [7] }, gapMinutes: 9, dailyCap: 1, dailyCapUsed: 1 },
  };
  it("is that of the table: each wins over all that come after it", () => {
    const fresh = { ...everything, steps: [aStep({ body: "{{ lead.nothing }}" })] };
    const open = {
      ...fresh,
      workspace: { ...fresh.workspace, sendWindow: { days: [1, 2, 3, 4, 5, 6, 7], start: "00:00", end: "24:00" } },
    };
    const later = { ...open, lead: { ...open.lead, lastOutboundAt: null } };
    const unused = { ...later, lead: {} };
    const below = { ...unused, workspace: { ...unused.workspace, dailyCapUsed: 0 } };
    const reasons = [everything, fresh, open, later, unused, below].map((parts) => decideAt(parts).reason);
    expect(reasons).toEqual([
      "time_to_live_over",
      "closed_day",
      "too_soon",
      "channel_used_today",
      "daily_cap_reached",
      "missing_data",
    ]);
  });

  it("tells what was passed, and what the rules on time went by", () => {
    const decision = decideAt(everything);
    const names = RULES.map(({ name }) => name);
    expect(decision.passed).toEqual(names.slice(0, names.indexOf("still_fresh")));
    expect(decision.inputs).toEqual({
      sendWindow: { ...OFFICE, days: [7] },
      gapMinutes: 9,
      lastOutboundAt: NOON,
      lastTouchOnChannelAt: NOON,
      dailyCap: 1,
      dailyCapUsed: 1,
    });
  });
});

const minutes = fc.integer({ min: 0, max: 24 * 60 - 1 });
const someTime = fc.record({
  zone: fc.constantFrom(...ZONES),
  now: fc.integer({ min: FIRST / MINUTE, max: (LAST - 400 * DAY) / MINUTE }).map((minute) => minute * MINUTE),
  start: minutes,
  end: minutes,
  days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
  gapMinutes: fc.integer({ min: 0, max: 3 * 24 * 60 }),
  lastAgo: fc.option(fc.integer({ min: 0, max: 4 * 24 * 60 }), { nil: null }),
  emailedAgo: fc.option(fc.integer({ min: 0, max: 2 * 24 * 60 }), { nil: null }),
});
type SomeTime = typeof someTime extends fc.Arbitrary<infer Value> ? Value : never;

const partsOf = ({ zone, now, start, end, days, gapMinutes, lastAgo, emailedAgo }: SomeTime): ItemParts => ({
  lead: {
    timeZone: zone,
    lastOutboundAt: lastAgo === null ? null : new Date(now - lastAgo * MINUTE),
    lastTouchAt: { ...NEVER, email: emailedAgo === null ? null : new Date(now - emailedAgo * MINUTE) },
  },
  workspace: { sendWindow: { days, start: timeOf(start), end: timeOf(end) }, gapMinutes },
});

/** By the clock on the wall: whether that minute lies in a window that opened on an allowed day. */
function isOpenAt(instant: number, { zone, start, end, days }: SomeTime): boolean {
  const { day, minute } = wallClock(instant, zone);
  const opened = (date: number) => days.includes(weekdayOf(date));
  if (start < end) return opened(day) && minute >= start && minute < end;
  return (opened(day) && minute >= start) || (opened(day - 1) && minute < end);
}

function mayGoAt(instant: number, asked: SomeTime): boolean {
  const { zone, now, gapMinutes, lastAgo, emailedAgo } = asked;
  const gapOver = lastAgo === null || instant >= now - lastAgo * MINUTE + Math.max(gapMinutes * MINUTE, 1);
  const localDay = (time: number) => dateOf(wallClock(time, zone).day);
  const unused = emailedAgo === null || localDay(instant) > localDay(now - emailedAgo * MINUTE);
  return gapOver && unused && isOpenAt(instant, asked);
}

describe("over all time zones and every change of their clocks", () => {
  it("a send lies inside the window on an allowed local day, past the gap and the channel's day, and a hold ends there", () => {
    const law = fc.property(someTime, (asked) => {
      const decision = decideAt(partsOf(asked), new Date(asked.now));
      expect(decideAt(partsOf(asked), new Date(asked.now))).toEqual(decision);
      if (decision.kind === "send") return mayGoAt(asked.now, asked);
      if (decision.kind !== "hold") throw new Error(`decided ${decision.kind}`);
      // A window that every change of the clock skips, or dates that a zone skipped, may leave no opening in a year.
      if (decision.reason === "no_opening") return true;
      const then = decision.until.getTime();
      return then > asked.now && mayGoAt(then, asked) && decideAt(partsOf(asked), decision.until).kind === "send";
    });
    fc.assert(law, { numRuns: 2_000 });
  });

  it("a hold ends at the earliest such instant: at no minute before it might the step have gone", () => {
    const law = fc.property(
      someTime,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 20, maxLength: 20 }),
      (asked, shares) => {
        const decision = decideAt(partsOf(asked), new Date(asked.now));
        if (decision.kind !== "hold" || decision.reason === "no_opening") return true;
        const last = decision.until.getTime() - 1;
        const between = shares.map((share) => asked.now + Math.floor((share * (last - asked.now)) / MINUTE) * MINUTE);
        const justBefore = Math.floor(last / MINUTE) * MINUTE;
        return [...between, justBefore].every((instant) => instant < asked.now || !mayGoAt(instant, asked));
      },
    );
    fc.assert(law, { numRuns: 1_000 });
  });
});
