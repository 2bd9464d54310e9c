import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { nextOpening, startOfNextLocalDay } from "../../lib/domain/calendar.ts";
import { closeWindow, nextDigest } from "../../lib/domain/digest.ts";
import { capDayEnd, capDayOf } from "../../lib/domain/send-times.ts";
import { isTimeZone, laterInZone } from "../../lib/domain/time-zone.ts";
import { INVALID_ZONES, LEGACY_NAMES, VALID_ZONES } from "../support/zones.ts";

const NOW = new Date("2026-11-29T12:00:00Z");
const ALWAYS = { days: [1, 2, 3, 4, 5, 6, 7], start: "00:00", end: "24:00" };

/** Every function of the product that takes a zone. */
const RECKONINGS: Readonly<Record<string, (zone: string) => unknown>> = {
  "a delay of days": (zone) => laterInZone(NOW, 3 * 1440, zone),
  "an opening": (zone) => nextOpening(NOW, { zone, window: ALWAYS, isHoliday: () => false }),
  "a local day": (zone) => startOfNextLocalDay(NOW, zone),
  "a digest": (zone) => nextDigest(NOW, { time: "08:00:00", zone }),
};

const takenByTemporal = (zone: string): boolean => {
  try {
    new Temporal.ZonedDateTime(0n, zone).add({ days: 1 }).startOfDay();
    return true;
  } catch {
    return false;
  }
};

const names = fc.oneof(
  fc.constantFrom(...Intl.supportedValuesOf("timeZone"), ...LEGACY_NAMES, ...INVALID_ZONES, ...VALID_ZONES),
  fc.string({ maxLength: 40, unit: "binary" }),
  fc.stringMatching(/^[+\u2212-]\d{2}:?\d{2}$/),
  fc.stringMatching(/^[A-Z][a-z]{2,8}\/[A-Z][a-z]{2,8}$/),
);

describe("a time zone", () => {
  it("is valid exactly if Temporal accepts it", () => {
    for (const zone of [...Intl.supportedValuesOf("timeZone"), ...LEGACY_NAMES, ...INVALID_ZONES, ...VALID_ZONES]) {
      expect([zone, isTimeZone(zone)]).toEqual([zone, takenByTemporal(zone)]);
    }
    fc.assert(
      fc.property(names, (zone) => {
        expect(isTimeZone(zone)).toBe(takenByTemporal(zone));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(VALID_ZONES)("%s is valid", (zone) => {
    expect(isTimeZone(zone)).toBe(true);
  });

  it.each(INVALID_ZONES.map((zone) => JSON.stringify(zone.slice(0, 40))))("%s is invalid", (shown) => {
    const [zone] = INVALID_ZONES.filter((text) => JSON.stringify(text.slice(0, 40)) === shown);
    expect(isTimeZone(zone ?? "UTC")).toBe(false);
  });

  it("is valid exactly if every calculation accepts it", () => {
    for (const [name, reckon] of Object.entries(RECKONINGS)) {
      for (const zone of VALID_ZONES) expect([name, zone, reckon(zone)]).toEqual([name, zone, expect.anything()]);
      for (const zone of INVALID_ZONES) expect(() => reckon(zone)).toThrow(RangeError);
    }
  });

  it("that is invalid counts as UTC where a computation must not fail", () => {
    const utc = { time: "08:00:00", zone: "UTC", end: NOW, lastReported: null };
    for (const zone of INVALID_ZONES) {
      expect(capDayOf(zone, NOW)).toBe("2026-11-29");
      expect(capDayEnd(zone, NOW)).toEqual(new Date("2026-11-30T00:00:00Z"));
      expect(closeWindow({ ...utc, zone }, NOW)).toEqual(closeWindow(utc, NOW));
    }
  });

  it("stays valid after any number of checks of invalid names", () => {
    expect(isTimeZone("Europe/Berlin")).toBe(true);
    for (let number = 0; number < 5_000; number++) expect(isTimeZone(`Nowhere/${number}`)).toBe(false);
    expect(isTimeZone("Europe/Berlin")).toBe(true);
  });
});
