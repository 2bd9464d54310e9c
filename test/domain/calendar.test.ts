import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import {
  localDayOf,
  nextOpening as nextOpeningOf,
  type SendCalendar,
  startOfNextLocalDay,
} from "../../lib/domain/calendar.ts";
import { DAY, dateOf, FIRST, LAST, MINUTE, offsetChanges, timeOf, wallClock, weekdayOf, ZONES } from "./wall-clock.ts";

const nextOpening = (now: Date, given: SendCalendar): Date | null => nextOpeningOf(now, given)?.from ?? null;

const DAILY = [1, 2, 3, 4, 5, 6, 7];
const MONDAY_TO_FRIDAY = [1, 2, 3, 4, 5];

/** `hours` is a window such as `09:00-17:00`. */
function calendar(
  zone: string,
  hours: string,
  days: readonly number[] = DAILY,
  holidays: readonly string[] = [],
): SendCalendar {
  const [start = "", end = ""] = hours.split("-");
  return { zone, window: { days, start, end }, isHoliday: (date) => holidays.includes(date) };
}

const openingAfter = (now: string, given: SendCalendar): string | undefined =>
  nextOpening(new Date(now), given)?.toISOString().replace(":00.000Z", "Z");
const isOpen = (now: string, given: SendCalendar): boolean => {
  const asked = new Date(now);
  return nextOpening(asked, given) === asked;
};

describe("the next opening", () => {
  it("is now from the start of the window until before its end", () => {
    const berlin = calendar("Europe/Berlin", "09:00-17:00", MONDAY_TO_FRIDAY);
    expect(openingAfter("2026-06-03T06:59:59.999Z", berlin)).toBe("2026-06-03T07:00Z");
    expect(isOpen("2026-06-03T07:00:00.000Z", berlin)).toBe(true);
    expect(isOpen("2026-06-03T14:59:59.999Z", berlin)).toBe(true);
    expect(openingAfter("2026-06-03T15:00:00.000Z", berlin)).toBe("2026-06-04T07:00Z");
  });

  it("is 09:00 on the new clock when computed the evening before a clock change", () => {
    const angeles = calendar("America/Los_Angeles", "09:00-17:00");
    expect(openingAfter("2026-03-08T02:00Z", angeles)).toBe("2026-03-08T16:00Z");
    expect(openingAfter("2026-11-01T02:00Z", angeles)).toBe("2026-11-01T17:00Z");
  });

  it("uses the local weekday, even if it differs in UTC", () => {
    const auckland = calendar("Pacific/Auckland", "09:00-17:00", MONDAY_TO_FRIDAY);
    expect(openingAfter("2026-06-05T05:00Z", auckland)).toBe("2026-06-07T21:00Z");
    expect(isOpen("2026-06-07T21:00Z", auckland)).toBe(true);
    expect(isOpen("2026-06-05T21:00Z", auckland)).toBe(false);

    const angeles = calendar("America/Los_Angeles", "17:30-20:00", MONDAY_TO_FRIDAY);
    expect(openingAfter("2026-06-05T23:00Z", angeles)).toBe("2026-06-06T00:30Z");
    expect(openingAfter("2026-06-06T03:00Z", angeles)).toBe("2026-06-09T00:30Z");
  });

  it("skips holidays", () => {
    const berlin = calendar("Europe/Berlin", "09:00-17:00", MONDAY_TO_FRIDAY, ["2026-12-24", "2026-12-25"]);
    expect(openingAfter("2026-12-23T16:00Z", berlin)).toBe("2026-12-28T08:00Z");
    expect(openingAfter("2026-12-24T12:00Z", berlin)).toBe("2026-12-28T08:00Z");
  });

  it.each([
    ["Asia/Kathmandu", "2026-06-03T03:15Z"],
    ["Asia/Kolkata", "2026-06-03T03:30Z"],
    ["Australia/Eucla", "2026-06-03T00:15Z"],
    ["Pacific/Chatham", "2026-06-02T20:15Z"],
    ["Pacific/Marquesas", "2026-06-02T18:30Z"],
  ])("is exact for an offset of a fraction of an hour: %s", (zone, opening) => {
    expect(openingAfter("2026-06-02T13:00Z", calendar(zone, "09:00-17:00"))).toBe(opening);
  });

  it("does not exist if no day, or only holidays, qualify", () => {
    expect(nextOpening(new Date("2026-06-03T12:00Z"), calendar("UTC", "09:00-17:00", []))).toBeNull();
    const alwaysClosed = { ...calendar("UTC", "09:00-17:00"), isHoliday: () => true };
    expect(nextOpening(new Date("2026-06-03T12:00Z"), alwaysClosed)).toBeNull();
  });

  it("is searched within 366 days", () => {
    const longHoliday = { ...calendar("UTC", "09:00-17:00"), isHoliday: (date: string) => date < "2027-06-04" };
    expect(openingAfter("2026-06-03T09:00Z", longHoliday)).toBe("2027-06-04T09:00Z");
    expect(nextOpening(new Date("2026-06-03T08:59:59.999Z"), longHoliday)).toBeNull();
    expect(nextOpening(new Date("2026-06-02T23:00Z"), longHoliday)).toBeNull();
  });

  it("is refused for an unknown zone and for an invalid time", () => {
    const now = new Date("2026-06-03T12:00Z");
    expect(() => nextOpening(now, calendar("Mars/Olympus_Mons", "09:00-17:00"))).toThrow(RangeError);
    for (const hours of [
      "9:00-17:00",
      "09:00-25:00",
      "09:60-17:00",
      "09:00-24:01",
      "09:00:00-17:00",
      "x09:00-17:00",
      "09:00-x24:00",
      "09:00-24:00x",
    ]) {
      expect(() => nextOpening(now, calendar("UTC", hours))).toThrow(RangeError);
    }
    expect(() => nextOpening(now, calendar("UTC", "9:00-17:00"))).toThrow(
      '"9:00" is not a time of a send window; expected HH:MM, from 00:00 to 24:00',
    );
  });
});

describe("an overnight window", () => {
  const nights = calendar("Europe/Berlin", "22:00-06:00", MONDAY_TO_FRIDAY);

  it("is open from its start, across midnight, until just before its end", () => {
    expect(openingAfter("2026-06-03T12:00Z", nights)).toBe("2026-06-03T20:00Z");
    expect(isOpen("2026-06-03T20:00Z", nights)).toBe(true);
    expect(isOpen("2026-06-03T22:00Z", nights)).toBe(true);
    expect(isOpen("2026-06-04T03:59:59.999Z", nights)).toBe(true);
    expect(openingAfter("2026-06-04T04:00Z", nights)).toBe("2026-06-04T20:00Z");
  });

  it("belongs to the weekday on which it opened", () => {
    const [saturdayAtThree, mondayAtThree] = ["2026-06-06T01:00Z", "2026-06-08T01:00Z"];
    expect(isOpen(saturdayAtThree, nights)).toBe(true);
    expect(openingAfter("2026-06-06T04:00Z", nights)).toBe("2026-06-08T20:00Z");
    expect(openingAfter(mondayAtThree, nights)).toBe("2026-06-08T20:00Z");
  });

  it("belongs to the holiday on which it would open, not to the holiday that it runs into", () => {
    const withHoliday = calendar("Europe/Berlin", "22:00-06:00", DAILY, ["2026-06-04"]);
    expect(isOpen("2026-06-04T01:00Z", withHoliday)).toBe(true);
    expect(openingAfter("2026-06-04T04:00Z", withHoliday)).toBe("2026-06-05T20:00Z");
    expect(openingAfter("2026-06-05T01:00Z", withHoliday)).toBe("2026-06-05T20:00Z");
  });

  it("lasts a whole day if start and end are equal", () => {
    const wholeDays = calendar("Europe/Berlin", "09:00-09:00", [1]);
    expect(isOpen("2026-06-08T07:00Z", wholeDays)).toBe(true);
    expect(isOpen("2026-06-09T06:59:59.999Z", wholeDays)).toBe(true);
    expect(openingAfter("2026-06-09T07:00Z", wholeDays)).toBe("2026-06-15T07:00Z");
  });

  it.each(["00:00-00:00", "00:00-24:00"])("lasts the calendar day from midnight to midnight: %s", (hours) => {
    const mondays = calendar("Europe/Berlin", hours, [1]);
    expect(openingAfter("2026-06-07T21:59:59.999Z", mondays)).toBe("2026-06-07T22:00Z");
    expect(isOpen("2026-06-08T21:59:59.999Z", mondays)).toBe(true);
    expect(openingAfter("2026-06-08T22:00Z", mondays)).toBe("2026-06-14T22:00Z");
  });
});

describe("when the clock jumps forward", () => {
  it.each([
    ["Europe/Berlin", "2026-03-28T12:00Z", "02:30-05:00", "2026-03-29T01:00Z"],
    ["America/Los_Angeles", "2026-03-08T02:00Z", "02:00-05:00", "2026-03-08T10:00Z"],
    ["Australia/Lord_Howe", "2026-10-03T12:00Z", "02:15-05:00", "2026-10-03T15:30Z"],
    ["America/Havana", "2026-03-08T02:00Z", "00:00-05:00", "2026-03-08T05:00Z"],
    ["Africa/Cairo", "2026-04-23T20:00Z", "00:30-05:00", "2026-04-23T22:00Z"],
    ["Asia/Beirut", "2026-03-28T20:00Z", "00:30-05:00", "2026-03-28T22:00Z"],
  ])("a window with a skipped start opens right after the jump: %s", (zone, now, hours, opening) => {
    expect(openingAfter(now, calendar(zone, hours))).toBe(opening);
  });

  it("a window that is skipped completely stays closed that day", () => {
    const skipped = calendar("Europe/Berlin", "02:10-02:50");
    expect(openingAfter("2026-03-28T12:00Z", skipped)).toBe("2026-03-30T00:10Z");
    expect(openingAfter("2026-03-28T12:00Z", { ...skipped, window: { ...skipped.window, days: [7] } })).toBe(
      "2026-04-05T00:10Z",
    );
  });

  it("a window with a skipped end closes at the jump", () => {
    const cut = calendar("Europe/Berlin", "01:00-02:30");
    expect(isOpen("2026-03-29T00:59:59.999Z", cut)).toBe(true);
    expect(openingAfter("2026-03-29T01:00Z", cut)).toBe("2026-03-29T23:00Z");
  });
});

describe("when the clock is set back", () => {
  it.each([
    ["Europe/Berlin", "02:30-09:00", "2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z"],
    ["Australia/Lord_Howe", "01:40-09:00", "2026-04-04T14:40Z", "2026-04-04T15:00Z", "2026-04-04T15:10Z"],
    ["America/Havana", "00:30-09:00", "2026-11-01T04:30Z", "2026-11-01T05:00Z", "2026-11-01T05:30Z"],
    ["Africa/Cairo", "23:30-04:00", "2026-10-29T20:30Z", "2026-10-29T21:00Z", "2026-10-29T21:30Z"],
    ["Asia/Beirut", "23:30-04:00", "2026-10-24T20:30Z", "2026-10-24T21:00Z", "2026-10-24T21:30Z"],
  ])("a window with a repeated start opens twice: %s", (zone, hours, first, jump, second) => {
    const given = calendar(zone, hours);
    expect(openingAfter(new Date(Date.parse(first) - 60 * MINUTE).toISOString(), given)).toBe(first);
    expect(isOpen(new Date(Date.parse(jump) - 1).toISOString(), given)).toBe(true);
    expect(openingAfter(jump, given)).toBe(second);
  });

  it("a window with a repeated end closes twice", () => {
    const given = calendar("Europe/Berlin", "00:00-02:30");
    expect(openingAfter("2026-10-25T00:30Z", given)).toBe("2026-10-25T01:00Z");
    expect(isOpen("2026-10-25T01:29:59.999Z", given)).toBe(true);
    expect(openingAfter("2026-10-25T01:30Z", given)).toBe("2026-10-25T23:00Z");
  });
});

describe("when the calendar skips or repeats a day", () => {
  it("a skipped day opens no window", () => {
    const samoa = "Pacific/Apia";
    expect(openingAfter("2011-12-30T06:00Z", calendar(samoa, "09:00-17:00"))).toBe("2011-12-30T19:00Z");
    expect(openingAfter("2011-12-30T06:00Z", calendar(samoa, "09:00-17:00", [5]))).toBe("2012-01-05T19:00Z");
  });

  it("an overnight window before a skipped day continues on the day after it", () => {
    const threeOnSaturday = "2011-12-30T13:00Z";
    expect(isOpen(threeOnSaturday, calendar("Pacific/Apia", "22:00-06:00", [4]))).toBe(true);
    expect(openingAfter(threeOnSaturday, calendar("Pacific/Apia", "22:00-06:00", [5]))).toBe("2012-01-06T08:00Z");
  });

  it("a date that returns after a minute of the next day opens again", () => {
    const saturdays = calendar("America/St_Johns", "23:30-24:00", [6]);
    expect(isOpen("2010-11-07T02:29Z", saturdays)).toBe(true);
    expect(openingAfter("2010-11-07T02:30Z", saturdays)).toBe("2010-11-07T03:00Z");
    expect(openingAfter("2010-11-07T03:30Z", saturdays)).toBe("2010-11-14T03:00Z");
  });
});

describe("a local day", () => {
  it.each([
    ["23 hours", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"],
    [
      "the date before UTC's",
      "America/Los_Angeles",
      "2026-06-06T00:30Z",
      "2026-06-05",
      "2026-06-05T07:00Z",
      "2026-06-06T07:00Z",
    ],
    [
      "a midnight that is skipped",
      "America/Havana",
      "2026-03-08T12:00Z",
      "2026-03-08",
      "2026-03-08T05:00Z",
      "2026-03-09T04:00Z",
    ],
    [
      "a midnight shown twice",
      "America/Havana",
      "2026-11-01T12:00Z",
      "2026-11-01",
      "2026-11-01T04:00Z",
      "2026-11-02T05:00Z",
    ],
    [
      "a last hour shown twice",
      "Africa/Cairo",
      "2026-10-29T12:00Z",
      "2026-10-29",
      "2026-10-28T21:00Z",
      "2026-10-29T22:00Z",
    ],
    [
      "a date skipped after it",
      "Pacific/Apia",
      "2011-12-30T06:00Z",
      "2011-12-29",
      "2011-12-29T10:00Z",
      "2011-12-30T10:00Z",
    ],
    [
      "a date skipped before it",
      "Pacific/Apia",
      "2011-12-30T12:00Z",
      "2011-12-31",
      "2011-12-30T10:00Z",
      "2011-12-31T10:00Z",
    ],
    [
      "a minute before it",
      "America/St_Johns",
      "2010-11-07T03:00Z",
      "2010-11-06",
      "2010-11-06T02:30Z",
      "2010-11-07T03:30Z",
    ],
  ])("with %s", (_, zone, asked, date, start, next) => {
    const instant = new Date(asked);
    expect(localDayOf(instant, zone)).toBe(date);
    expect(startOfNextLocalDay(new Date(Date.parse(start) - 1), zone)).toEqual(new Date(start));
    expect(startOfNextLocalDay(instant, zone)).toEqual(new Date(next));
  });

  it("throws for an invalid zone", () => {
    for (const ask of [localDayOf, startOfNextLocalDay]) {
      expect(() => ask(new Date("2026-06-03T12:00Z"), "Mars/Olympus_Mons")).toThrow(RangeError);
    }
  });

  it("is the same for any order of queries: earlier, later, and within the same days", () => {
    const asked = (days: number) => new Date(Date.parse("2026-03-20T12:00Z") + days * DAY);
    for (const days of [0, 7, 8, 9, 400, -1, -400, 0, 8, 7, -8]) {
      const date = asked(days).toISOString().slice(0, 10);
      expect(localDayOf(asked(days), "UTC")).toBe(date);
      expect(startOfNextLocalDay(asked(days - 1), "UTC")).toEqual(new Date(date));
      expect(localDayOf(asked(days), "UTC")).toBe(date);
    }
  });
});

/** In a zone with clock changes, half of the instants are within hours of one. */
function instantsIn(zone: string): fc.Arbitrary<number> {
  const changes = offsetChanges(zone).filter(({ at }) => at > FIRST && at < LAST);
  const anywhere = fc.integer({ min: FIRST, max: LAST });
  if (changes.length === 0) return anywhere;
  const near = fc
    .tuple(fc.constantFrom(...changes), fc.integer({ min: -30 * 60, max: 6 * 60 }), fc.constantFrom(-1, 0, 0, 29_999))
    .map(([{ at }, minutes, milliseconds]) => at + minutes * MINUTE + milliseconds);
  return fc.oneof(anywhere, near, near);
}

/** The input of the minute-by-minute search. Days count from 1970; times are minutes of the day. */
interface Asked {
  readonly now: number;
  readonly weekdays: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly holidays: readonly number[];
}

const askedIn = (zone: string): fc.Arbitrary<Asked> =>
  instantsIn(zone).chain((now) => {
    const aroundChanges = fc.integer({ min: -30, max: 4 * 60 }).map((minute) => (minute + 1440) % 1440);
    const times = fc.oneof(fc.nat(1439), aroundChanges, aroundChanges);
    const { day } = wallClock(now, zone);
    return fc.record({
      now: fc.constant(now),
      weekdays: fc.oneof(fc.constantFrom(DAILY, MONDAY_TO_FRIDAY), fc.subarray(DAILY, { minLength: 1 })),
      start: times,
      end: times,
      holidays: fc.subarray([day - 1, day, day + 1, day + 2, day + 3], { maxLength: 2 }),
    });
  });

function calendarFor(zone: string, { weekdays, start, end, holidays }: Asked): SendCalendar {
  return calendar(zone, `${timeOf(start)}-${timeOf(end)}`, weekdays, holidays.map(dateOf));
}

/** The rule as specified, independent of the implementation. */
function mayBeSent(instant: number, zone: string, { weekdays, start, end, holidays }: Asked): boolean {
  const { day, minute } = wallClock(instant, zone);
  const opensOn = (opened: number) => weekdays.includes(weekdayOf(opened)) && !holidays.includes(opened);
  if (start < end) return start <= minute && minute < end && opensOn(day);
  return (start <= minute && opensOn(day)) || (minute < end && opensOn(day - 1));
}

/** Searches minute by minute; in these years every window opens on a whole minute. */
function searched(zone: string, asked: Asked, horizon: number): number | undefined {
  if (mayBeSent(asked.now, zone, asked)) return asked.now;
  const nextMinute = Math.floor(asked.now / MINUTE) * MINUTE + MINUTE;
  for (let minute = nextMinute; minute <= horizon; minute += MINUTE) {
    if (mayBeSent(minute, zone, asked)) return minute;
  }
  return undefined;
}

const SEARCHED_DAYS = 5;
const CASES_PER_ZONE = { numRuns: 6 };

describe("in every zone of the time zone database, around the changes of its clock", () => {
  it("the opening is the earliest allowed instant, as a search by minutes finds it", () => {
    for (const zone of ZONES) {
      fc.assert(
        fc.property(askedIn(zone), (asked) => {
          const opening = nextOpening(new Date(asked.now), calendarFor(zone, asked))?.getTime();
          if (opening === undefined) return false;
          const horizon = asked.now + SEARCHED_DAYS * DAY;
          if (opening <= horizon) return opening === searched(zone, asked, horizon);
          return searched(zone, asked, horizon) === undefined && mayBeSent(opening, zone, asked);
        }),
        CASES_PER_ZONE,
      );
    }
  });

  it("an opening is its own next opening, and every hold ends", () => {
    for (const zone of ZONES) {
      fc.assert(
        fc.property(askedIn(zone), (asked) => {
          const given = calendarFor(zone, asked);
          const opening = nextOpening(new Date(asked.now), given);
          return opening !== null && opening.getTime() >= asked.now && nextOpening(opening, given) === opening;
        }),
        CASES_PER_ZONE,
      );
    }
  });

  it("a local day is what the clock shows, until the start of the next", () => {
    for (const zone of ZONES) {
      const dayAt = (instant: number) => wallClock(instant, zone).day;
      fc.assert(
        fc.property(instantsIn(zone), (time) => {
          const [instant, day] = [new Date(time), dayAt(time)];
          const next = startOfNextLocalDay(instant, zone).getTime();
          expect(localDayOf(instant, zone)).toBe(dateOf(day));
          expect([next - 1, next].map(dayAt)).toEqual([day, day + 1]);
        }),
        CASES_PER_ZONE,
      );
    }
  });
});
