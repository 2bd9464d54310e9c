import { beforeAll, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decide } from "../../lib/domain/decide.ts";
import type { DueItem } from "../../lib/domain/due-item.ts";
import { loadHolidays } from "../../lib/domain/holidays.ts";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { earliestSend, type SendFacts } from "../../lib/domain/send-times.ts";
import { ALWAYS_OPEN, aLead, anItem, aStep } from "./items.ts";
import { DAY, dateOf, FIRST, LAST, MINUTE, offsetChanges, timeOf, wallClock, weekdayOf, ZONES } from "./wall-clock.ts";

beforeAll(loadHolidays);

/** The input of the minute-by-minute search. Days count from 1970; times are minutes of the day. */
interface Asked {
  readonly zone: string;
  readonly now: number;
  readonly days: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly holidays: readonly number[];
  readonly gapMinutes: number;
  readonly lastOutboundAt: number | null;
  readonly lastOnChannelAt: number | null;
}

/** Whole minutes. In a zone with clock changes, half of them are near one. */
function instantIn(zone: string): fc.Arbitrary<number> {
  const changes = offsetChanges(zone).filter(({ at }) => at > FIRST && at < LAST);
  const anywhere = fc.integer({ min: FIRST / MINUTE, max: LAST / MINUTE }).map((minutes) => minutes * MINUTE);
  if (changes.length === 0) return anywhere;
  const near = fc
    .tuple(fc.constantFrom(...changes), fc.integer({ min: -30 * 60, max: 6 * 60 }))
    .map(([{ at }, minutes]) => at + minutes * MINUTE);
  return fc.oneof(anywhere, near);
}

const askedIn = (zone: string): fc.Arbitrary<Asked> =>
  instantIn(zone).chain((now) => {
    const { day } = wallClock(now, zone);
    const before = (minutes: number) =>
      fc.option(
        fc.nat(minutes).map((ago) => now - ago * MINUTE),
        { nil: null },
      );
    return fc.record({
      zone: fc.constant(zone),
      now: fc.constant(now),
      days: fc.oneof(fc.constantFrom([1, 2, 3, 4, 5]), fc.subarray([...ALWAYS_OPEN.days], { minLength: 1 })),
      start: fc.nat(1439),
      end: fc.nat(1439),
      holidays: fc.subarray([day - 1, day, day + 1, day + 2], { maxLength: 2 }),
      gapMinutes: fc.integer({ min: 1, max: 3 * 1440 }),
      lastOutboundAt: before(4 * 1440),
      lastOnChannelAt: before(2 * 1440),
    });
  });

const instantOrNull = (time: number | null): Date | null => (time === null ? null : new Date(time));

const itemOf = (asked: Asked): DueItem =>
  anItem({
    instance: { nextStepDue: new Date(asked.now) },
    lead: {
      timeZone: asked.zone,
      lastOutboundAt: instantOrNull(asked.lastOutboundAt),
      lastTouchAt: { ...aLead().lastTouchAt, email: instantOrNull(asked.lastOnChannelAt) },
    },
    workspace: {
      gapMinutes: asked.gapMinutes,
      sendWindow: { days: asked.days, start: timeOf(asked.start), end: timeOf(asked.end) },
      holidays: { country: null, region: null, ownDates: asked.holidays.map(dateOf), workingDates: [] },
    },
  });

/** The rules as specified, independent of the implementation. */
function mayGo(instant: number, asked: Asked): boolean {
  const { lastOutboundAt, gapMinutes, lastOnChannelAt, zone } = asked;
  if (lastOutboundAt !== null && instant < lastOutboundAt + gapMinutes * MINUTE) return false;
  const { day } = wallClock(instant, zone);
  return (lastOnChannelAt === null || wallClock(lastOnChannelAt, zone).day < day) && isOpen(instant, asked);
}

function isOpen(instant: number, { zone, days, start, end, holidays }: Asked): boolean {
  const { day, minute } = wallClock(instant, zone);
  const opensOn = (opened: number) => days.includes(weekdayOf(opened)) && !holidays.includes(opened);
  if (start < end) return start <= minute && minute < end && opensOn(day);
  return (start <= minute && opensOn(day)) || (minute < end && opensOn(day - 1));
}

function inEveryZone(law: (asked: Asked) => void) {
  for (const zone of ZONES) fc.assert(fc.property(askedIn(zone), law), { numRuns: 4 });
}

const decideAt = (asked: Asked, time: number) => decide(itemOf(asked), new Date(time));
const SEARCHED_DAYS = 4;

/** Searches minute by minute from `asked.now`, before `until`, for at most `SEARCHED_DAYS`. */
function firstMinute(asked: Asked, until: number, holds: (time: number) => boolean): number | undefined {
  const last = Math.min(until, asked.now + SEARCHED_DAYS * DAY);
  for (let time = asked.now; time < last; time += MINUTE) if (holds(time)) return time;
  return undefined;
}

describe("in every zone of the time zone database, around the changes of its clock", () => {
  it("a step is sent exactly if window, day, holiday, gap and channel allow it; otherwise it is held", () => {
    inEveryZone((asked) => {
      const decision = decideAt(asked, asked.now);
      expect(decision.kind).toBe(mayGo(asked.now, asked) ? "send" : "hold");
      if (decision.kind === "hold") expect(decision.until.getTime()).toBeGreaterThan(asked.now);
    });
  });

  it("the same item is sent at the end of its hold, and at no minute before", () => {
    inEveryZone((asked) => {
      const decision = decideAt(asked, asked.now);
      if (decision.kind !== "hold") return;
      const until = decision.until.getTime();
      expect(decideAt(asked, until).kind).toBe("send");
      expect(firstMinute(asked, until, (time) => mayGo(time, asked))).toBeUndefined();
      expect(mayGo(until, asked)).toBe(true);
      expect(decideAt(asked, until - 1)).toMatchObject({ kind: "hold", until: decision.until });
    });
  });

  it("a step that may go now may go until the end of its decision", () => {
    inEveryZone((asked) => {
      const decision = decideAt(asked, asked.now);
      if (decision.kind !== "send") return;
      expect(decideAt(asked, decision.sendUntil.getTime() - 1).kind).toBe("send");
      expect(decision.sendUntil.getTime()).toBeGreaterThan(asked.now);
    });
  });

  it("a decision is repeatable, even after queries for other zones and instants", () => {
    const asked = fc.constantFrom(...ZONES).chain(askedIn);
    fc.assert(
      fc.property(asked, asked, (one, other) => {
        const first = decideAt(one, one.now);
        decideAt(other, other.now);
        expect(decideAt(one, one.now)).toEqual(first);
      }),
    );
  });

  it("a workspace at its cap holds until its next local day, and then until all other rules pass", () => {
    inEveryZone((asked) => {
      const item = itemOf(asked);
      const workspace = { ...item.workspace, timeZone: asked.zone, dailyCap: 1, dailyCapUsed: 1 };
      const decision = decide({ ...item, workspace }, new Date(asked.now));
      if (!mayGo(asked.now, asked)) return expect(decision.kind).toBe("hold");
      if (decision.kind !== "hold") throw new Error("sent above the cap");
      const until = decision.until.getTime();
      const today = wallClock(asked.now, asked.zone).day;
      const mayGoAnew = (time: number) => wallClock(time, asked.zone).day > today && mayGo(time, asked);
      expect([decision.reason, mayGoAnew(until)]).toEqual(["daily_cap_reached", true]);
      expect(firstMinute(asked, until, mayGoAnew)).toBeUndefined();
    });
  });
});

describe("the earliest send", () => {
  const facts = (over: Partial<SendFacts["workspace"]> = {}): SendFacts => {
    const { lead, workspace } = anItem();
    return { lead, workspace: { ...workspace, ...over }, channel: "email" };
  };
  const now = new Date("2026-06-03T12:00Z");

  it("is never before the requested instant, on any channel", () => {
    for (const channel of CHANNELS) expect(earliestSend({ ...facts(), channel }, now)?.from).toBe(now);
  });

  it("does not exist if the window opens on no day", () => {
    expect(earliestSend(facts({ sendWindow: { ...ALWAYS_OPEN, days: [] } }), now)).toBeNull();
  });

  it("is refused for a window with an invalid time", () => {
    expect(() => earliestSend(facts({ sendWindow: { ...ALWAYS_OPEN, start: "9:00" } }), now)).toThrow(RangeError);
  });
});

it("an item takes the step's own channel into account", () => {
  const asked = new Date("2026-06-03T12:00Z");
  const lead = { lastTouchAt: { ...aLead().lastTouchAt, sms: asked } };
  for (const channel of CHANNELS) {
    const { kind } = decide(anItem({ lead, steps: [aStep({ channel })] }), asked);
    expect([channel, kind]).toEqual([channel, channel === "sms" ? "hold" : "send"]);
  }
});
