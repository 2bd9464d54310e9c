import { beforeAll, describe, expect, it } from "@jest/globals";
import { nextOpening } from "../../lib/domain/calendar.ts";
import {
  hasHolidays,
  holidayCalendar,
  holidaysOfYear,
  loadHolidays,
  POOR_DATA,
  regionsOf,
} from "../../lib/domain/holidays.ts";

beforeAll(loadHolidays);

/** The holidays of a year, in order. */
function holidaysIn(year: number, country: string, region: string | null = null): string[] {
  const isHoliday = holidayCalendar(country, region);
  const days = Array.from({ length: 366 }, (_, index) => new Date(Date.UTC(year, 0, 1 + index)));
  return days
    .map((day) => day.toISOString().slice(0, 10))
    .filter((date) => date.startsWith(`${year}`) && isHoliday(date));
}

const GERMANY_IN_2026 = ["01-01", "04-03", "04-06", "05-01", "05-14", "05-25", "10-03", "12-25", "12-26"];

describe("a holiday calendar", () => {
  it("contains the public holidays of a country, and no other named days", () => {
    expect(holidaysIn(2026, "DE")).toEqual(GERMANY_IN_2026.map((day) => `2026-${day}`));
  });

  it("includes the holidays of a region and its district", () => {
    const added = (region: string) =>
      holidaysIn(2026, "DE", region).filter((date) => !holidaysIn(2026, "DE").includes(date));
    expect(added("BY")).toEqual(["2026-01-06", "2026-06-04", "2026-11-01"]);
    expect(added("BY-A")).toEqual(["2026-01-06", "2026-06-04", "2026-08-08", "2026-08-15", "2026-11-01"]);
  });

  it("is listed with names: exactly the dates that count, also those of long holidays", () => {
    for (const [country, region] of [
      ["DE", "BY-A"],
      ["AE", null],
      ["TR", null],
      ["CN", null],
      ["IN", null],
    ] as const) {
      for (const year of [2026, 2027]) {
        const listed = holidaysOfYear(country, region, year);
        expect(listed.map(({ date }) => date)).toEqual(holidaysIn(year, country, region));
        for (const { name } of listed) expect(name).not.toBe("");
      }
    }
    expect(regionsOf("DE")).toContainEqual(["BY", "Bayern"]);
  });

  it("warns about each country with poor data as long as it lacks what the warning says", () => {
    const names = (country: string) => holidaysOfYear(country, null, 2027).map(({ name }) => name);
    expect(Object.keys(POOR_DATA)).toEqual(["AE", "CN", "IN"]);
    expect(names("IN").join()).not.toMatch(/holi|diwali|deepavali|eid|id-ul/i);
    expect(holidaysIn(2027, "CN")).toContain("2027-06-01");
    expect(holidaysIn(2027, "CN")).not.toContain("2027-10-04");
    expect(holidaysIn(2027, "AE")).not.toContain("2027-12-03");
  });

  it("leaves out working dates of the country, but no own date", () => {
    const isHoliday = holidayCalendar("CN", null, ["2027-10-04", "2027-10-01"], ["2027-06-01", "2027-10-01"]);
    expect(["2027-06-01", "2027-10-01", "2027-10-02", "2027-10-04"].filter(isHoliday)).toEqual([
      "2027-10-01",
      "2027-10-02",
      "2027-10-04",
    ]);
  });

  it("includes own dates, also without a country", () => {
    const both = holidayCalendar("DE", null, ["2026-06-05"]);
    expect(["2026-06-05", "2026-12-25", "2026-12-24"].map(both)).toEqual([true, true, false]);
    const alone = holidayCalendar(null, null, ["2026-06-05"]);
    expect(["2026-06-05", "2026-12-25"].map(alone)).toEqual([true, false]);
    expect(holidayCalendar(null, null)("2026-06-05")).toBe(false);
  });

  it("does not mix the own dates of two workspaces in one country", () => {
    expect(holidayCalendar("FR", null, ["2026-06-05"])("2026-06-05")).toBe(true);
    expect(holidayCalendar("FR", null, [])("2026-06-05")).toBe(false);
  });

  it("moves a holiday as its country does, also into the previous year", () => {
    expect(holidaysIn(2021, "US")).toEqual(expect.arrayContaining(["2021-07-05", "2021-12-31"]));
    expect(holidaysIn(2027, "GB", "ENG")).toEqual(expect.arrayContaining(["2027-12-27", "2027-12-28"]));
  });

  it("counts all days of a long holiday, even those in the next year", () => {
    expect(holidaysIn(2026, "RU")).toEqual(
      expect.arrayContaining([1, 2, 3, 4, 5, 6, 7].map((day) => `2026-01-0${day}`)),
    );
    expect(["2028-01-02", "2028-01-03", "2027-12-28"].map(holidayCalendar("SZ", null))).toEqual([true, false, true]);
  });

  it("counts a holiday that starts at sunset for the next day", () => {
    expect(["2026-09-20", "2026-09-21", "2026-09-22"].map(holidayCalendar("IL", null))).toEqual([false, true, false]);
    expect(
      ["03-19", "03-20", "03-21", "03-22", "03-23"].map((day) => holidayCalendar("TR", null)(`2026-${day}`)),
    ).toEqual([false, true, true, true, false]);
  });

  it("leaves a day open that is only partly a holiday", () => {
    expect(["2027-12-24", "2027-12-25", "2027-12-31"].map(holidayCalendar("IS", null))).toEqual([false, true, false]);
    expect(holidayCalendar("IS", null)("2023-12-24")).toBe(true);
  });

  it("is the same for any order of years", () => {
    const dates = ["2031-12-25", "2026-12-25", "2026-12-27", "2025-12-25", "2026-12-25"];
    expect(dates.map(holidayCalendar("CA", null))).toEqual([true, true, false, true, true]);
  });

  it("sends a touch from the eve of a holiday to the next working day", () => {
    const calendar = {
      zone: "Europe/Berlin",
      window: { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" },
      isHoliday: holidayCalendar("DE", "BY", ["2026-06-05"]),
    };
    const wednesdayEvening = new Date("2026-06-03T16:00Z");
    expect(nextOpening(wednesdayEvening, calendar)?.from).toEqual(new Date("2026-06-08T07:00Z"));
  });
});

describe("a country or region", () => {
  it.each<[string, string | null]>([
    ["DE", null],
    ["DE", "BY"],
    ["DE", "BY-A"],
    ["US", "CA"],
    ["AU", "NSW"],
    ["CH", "ZH"],
  ])("is known: %s %s", (country, region) => {
    expect(hasHolidays(country, region)).toBe(true);
    expect(() => holidayCalendar(country, region)).not.toThrow();
  });

  it.each<[string, string | null]>([
    ["XX", null],
    ["de", null],
    ["", null],
    ["constructor", null],
    ["DE", "ZZ"],
    ["DE", "by"],
    ["DE", ""],
    ["DE", "BY-Z"],
    ["DE", "BY-"],
    ["DE", "BY-A-1"],
    ["DE", "HE-A"],
    ["DE", "constructor"],
    ["DE-BY", null],
    ["JP", "13"],
    ["NZ", "CAN-Timaru"],
    ["NZ", "CAN-TIMARU"],
  ])("is not: %s %s", (country, region) => {
    expect(hasHolidays(country, region)).toBe(false);
    expect(() => holidayCalendar(country, region)).toThrow(RangeError);
  });

  it("appears in the error as its columns, not as its value", () => {
    expect(() => holidayCalendar("DE", "ZZ")).toThrow(
      "holiday_country and holiday_region have no known holidays; expected codes such as DE and BY",
    );
    expect(() => holidayCalendar("XX", null)).toThrow(
      "holiday_country has no known holidays; expected a code such as DE",
    );
  });

  it.each(["9376-01-01", "+010000-01-01", "-000001-01-01", "1969-12-31", "2200-01-01"])(
    "knows no holidays of %s, and says so instead of never returning",
    (date) => {
      for (const country of ["CN", "SA", "IR"]) expect(() => holidayCalendar(country, null)(date)).toThrow(RangeError);
      expect(holidayCalendar(null, null)(date)).toBe(false);
    },
  );

  it("is refused for a region without a country", () => {
    expect(() => holidayCalendar(null, "BY")).toThrow("holiday_region is set without holiday_country");
  });
});
