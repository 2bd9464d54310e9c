import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { closeWindow, type DigestTime, nextDigest } from "../../lib/domain/digest.ts";
import { DAY, FIRST, LAST, MINUTE, offsetChanges, timeOf, wallClock, ZONES } from "./wall-clock.ts";

const next = (after: string, digest: DigestTime): string =>
  nextDigest(new Date(after), digest).toISOString().replace(":00.000Z", "Z");

/** Whether the local clock skips the minute around that instant, according to the offset changes. */
const jumpsOver = (minute: number, around: number, zone: string): boolean =>
  offsetChanges(zone).some(({ at }) => {
    if (Math.abs(at - around) > 2 * DAY) return false;
    const before = wallClock(at - MINUTE, zone);
    const after = wallClock(at, zone);
    const shownBefore = before.day * 1_440 + before.minute;
    const shownAfter = after.day * 1_440 + after.minute;
    return [before.day, after.day].some(
      (day) => shownBefore < day * 1_440 + minute && day * 1_440 + minute < shownAfter,
    );
  });

const moment = fc.record({
  zone: fc.constantFrom(...ZONES),
  after: fc.integer({ min: FIRST, max: LAST }),
  minute: fc.oneof(fc.integer({ min: 0, max: 1_439 }), fc.constantFrom(5, 1_435, 120, 150)),
});
/** Near a clock change if the zone has one. */
const changing = moment.map(({ zone, after, minute }) => {
  const changes = offsetChanges(zone).filter(({ at }) => at > FIRST && at < LAST);
  const change = changes[after % Math.max(1, changes.length)];
  return { zone, minute, after: change ? change.at + ((after % (4 * 1_440)) - 2 * 1_440) * MINUTE : after };
});
const RUNS = { numRuns: 2_000 };

describe("the next digest", () => {
  it.each([
    ["2030-06-03T05:59Z", "08:00", "Europe/Berlin", "2030-06-03T06:00Z"],
    ["2030-06-03T06:00Z", "08:00", "Europe/Berlin", "2030-06-04T06:00Z"],
    ["2030-06-03T22:00Z", "00:05", "Europe/Berlin", "2030-06-03T22:05Z"],
    ["2030-06-03T22:05Z", "00:05", "Europe/Berlin", "2030-06-04T22:05Z"],
    ["2030-06-03T21:54Z", "23:55", "Europe/Berlin", "2030-06-03T21:55Z"],
    ["2030-06-03T12:00Z", "08:00", "Asia/Kathmandu", "2030-06-04T02:15Z"],
  ])("after %s, at %s in %s, is at %s", (after, time, zone, expected) => {
    expect(next(after, { time, zone })).toBe(expected);
  });

  it("shifts with a skipped hour, and is the first of a repeated one", () => {
    const digest = { time: "02:30", zone: "America/New_York" };
    expect(next("2030-03-10T06:00Z", digest)).toBe("2030-03-10T07:30Z");
    expect(next("2030-03-10T07:30Z", digest)).toBe("2030-03-11T06:30Z");
    const twice = { time: "01:30", zone: "America/New_York" };
    expect(next("2030-11-03T05:00Z", twice)).toBe("2030-11-03T05:30Z");
    expect(next("2030-11-03T05:30Z", twice)).toBe("2030-11-04T06:30Z");
  });

  it("is sent once around a day that a zone skipped", () => {
    const digest = { time: "08:00", zone: "Pacific/Apia" };
    expect(next("2011-12-29T18:00Z", digest)).toBe("2011-12-30T18:00Z");
    expect(next("2011-12-30T18:00Z", digest)).toBe("2011-12-31T18:00Z");
  });

  it("has its local time in any zone on any day, unless the clock skips it", () => {
    for (const moments of [moment, changing]) {
      fc.assert(
        fc.property(moments, ({ zone, after, minute }) => {
          const at = nextDigest(new Date(after), { time: timeOf(minute), zone }).getTime();
          expect(at).toBeGreaterThan(after);
          if (!jumpsOver(minute, at, zone)) expect(wallClock(at, zone).minute).toBe(minute);
        }),
        RUNS,
      );
    }
  });

  it("skips no occurrence of its local time", () => {
    fc.assert(
      fc.property(fc.oneof(moment, changing), ({ zone, after, minute }) => {
        const at = nextDigest(new Date(after), { time: timeOf(minute), zone }).getTime();
        const first = Math.floor(after / MINUTE) * MINUTE + MINUTE;
        for (let earlier = first; earlier < at; earlier += MINUTE) {
          const shown = wallClock(earlier, zone);
          if (shown.minute !== minute) continue;
          // The day may show this minute for the second time.
          const before = [30, 60, 120, 180].some((minutes) => {
            const shownBefore = wallClock(earlier - minutes * MINUTE, zone);
            return shownBefore.day === shown.day && shownBefore.minute === minute;
          });
          expect(before).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("a window", () => {
  const berlin = { time: "08:00", zone: "Europe/Berlin" };
  const close = (end: string | null, now: string, given: Partial<DigestTime> & { lastReported?: string } = {}) => {
    const { lastReported, ...digest } = given;
    const open = {
      ...berlin,
      ...digest,
      end: end ? new Date(end) : null,
      lastReported: lastReported ? new Date(lastReported) : null,
    };
    const closed = closeWindow(open, new Date(now));
    return [closed.end?.toISOString() ?? null, closed.nextEnd.toISOString()];
  };

  it("ends at the digest's time, however late the run is on that day", () => {
    const expected = ["2030-06-03T06:00:00.000Z", "2030-06-04T06:00:00.000Z"];
    expect(close("2030-06-03T06:00Z", "2030-06-03T06:00Z")).toEqual(expected);
    expect(close("2030-06-03T06:00Z", "2030-06-04T05:59Z")).toEqual(expected);
  });

  it("that was missed for days ends with the last missed digest", () => {
    expect(close("2030-06-03T06:00Z", "2030-06-05T06:00Z")).toEqual([
      "2030-06-05T06:00:00.000Z",
      "2030-06-06T06:00:00.000Z",
    ]);
  });

  it("stays open until it has ended", () => {
    expect(close("2030-06-04T06:00Z", "2030-06-03T12:00Z")).toEqual([null, "2030-06-04T06:00:00.000Z"]);
  });

  it("without a stored end ends at the next time, but not twice on a local day", () => {
    expect(close(null, "2030-06-03T05:00Z")).toEqual([null, "2030-06-03T06:00:00.000Z"]);
    expect(close(null, "2030-06-03T05:00Z", { lastReported: "2030-06-02T06:00Z" })[1]).toBe("2030-06-03T06:00:00.000Z");
    expect(close(null, "2030-06-03T05:00Z", { lastReported: "2030-06-03T04:00Z" })[1]).toBe("2030-06-04T06:00:00.000Z");
  });

  it("uses UTC if the zone does not exist", () => {
    expect(close(null, "2030-06-03T05:00Z", { zone: "Mars/Olympus_Mons" })[1]).toBe("2030-06-03T08:00:00.000Z");
  });

  it("follows the previous window without gap or overlap, in every zone", () => {
    fc.assert(
      fc.property(moment, fc.array(fc.integer({ min: 1, max: 5 * 1_440 }), { maxLength: 20 }), (start, waits) => {
        const digest = { time: timeOf(start.minute), zone: start.zone };
        let now = start.after;
        let end = closeWindow({ ...digest, end: null, lastReported: null }, new Date(now)).nextEnd;
        for (const wait of waits) {
          now += wait * MINUTE;
          const closed = closeWindow({ ...digest, end, lastReported: null }, new Date(now));
          expect(closed.end === null).toBe(end.getTime() > now);
          if (closed.end) expect(closed.end.getTime()).toBeGreaterThanOrEqual(end.getTime());
          expect(closed.nextEnd.getTime()).toBeGreaterThan(now);
          expect(closed.nextEnd).toEqual(nextDigest(closed.end ?? new Date(now), digest));
          end = closed.nextEnd;
        }
      }),
      { numRuns: 500 },
    );
  });
});
