import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { laterInZone } from "../../lib/domain/time-zone.ts";
import { DAY, FIRST, LAST, MINUTE, wallClock, ZONES } from "./wall-clock.ts";

const minutes = fc.integer({ min: FIRST / MINUTE, max: (LAST - 400 * DAY) / MINUTE });
const delays = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 100, max: 300 }));
const AROUND = 3 * 60;

it("in every zone, a delay of days keeps the local time of day, unless the clock jumps over it", () => {
  for (const zone of ZONES) {
    fc.assert(
      fc.property(minutes, delays, (minute, days) => {
        const from = wallClock(minute * MINUTE, zone);
        const due = laterInZone(new Date(minute * MINUTE), days * 1440, zone).getTime();
        const showsIt = (instant: number) => {
          const shown = wallClock(instant, zone);
          return shown.day === from.day + days && shown.minute === from.minute;
        };
        const around = Array.from({ length: 2 * AROUND }, (_, index) => due + (index - AROUND) * MINUTE);
        expect(showsIt(due)).toBe(around.some(showsIt));
        expect(Math.abs(due - minute * MINUTE - days * DAY)).toBeLessThanOrEqual(AROUND * MINUTE);
      }),
      { numRuns: 20 },
    );
  }
});
