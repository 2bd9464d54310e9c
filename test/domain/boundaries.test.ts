import { beforeAll, describe, expect, it } from "@jest/globals";
import { localDayOf, nextOpening, startOfNextLocalDay } from "../../lib/domain/calendar.ts";
import { decide } from "../../lib/domain/decide.ts";
import { holidayCalendar, loadHolidays } from "../../lib/domain/holidays.ts";
import { shutNow } from "../../lib/domain/send-times.ts";
import { laterInZone } from "../../lib/domain/time-zone.ts";
import { ALWAYS_OPEN, anItem, NOON } from "./items.ts";
import { DAY } from "./wall-clock.ts";

beforeAll(loadHolidays);

describe("midnight", () => {
  it("starts the new day, even right after a query for the day before", () => {
    const [noon, midnight] = [new Date("2026-06-03T12:00Z"), new Date("2026-06-04T00:00Z")];
    expect(startOfNextLocalDay(noon, "UTC")).toEqual(midnight);
    expect(localDayOf(midnight, "UTC")).toBe("2026-06-04");
    expect(startOfNextLocalDay(midnight, "UTC")).toEqual(new Date("2026-06-05T00:00Z"));
    expect(localDayOf(new Date(midnight.getTime() - 1), "UTC")).toBe("2026-06-03");
  });

  it("opens a window at the last instant searched, after 366 days", () => {
    const calendar = { zone: "UTC", window: ALWAYS_OPEN, isHoliday: (date: string) => date < "2027-06-04" };
    const from = nextOpening(new Date("2026-06-03T00:00Z"), calendar)?.from;
    expect(from).toEqual(new Date("2027-06-04T00:00Z"));
    expect(nextOpening(new Date("2026-06-02T23:59:59.999Z"), calendar)).toBeNull();
  });
});

it("a delay of one day keeps the local time of day; a shorter delay is elapsed time", () => {
  const noonBeforeSpringForward = new Date("2026-03-28T11:00Z");
  const later = (minutes: number) => laterInZone(noonBeforeSpringForward, minutes, "Europe/Berlin");
  expect(later(1_440)).toEqual(new Date("2026-03-29T10:00Z"));
  expect(later(1_439)).toEqual(new Date("2026-03-29T10:59Z"));
});

it("is a holiday also on a day of 23 hours", () => {
  expect(holidayCalendar("DE", "BB")("2024-03-31")).toBe(true);
  expect(holidayCalendar("DE", "BE")("2024-03-31")).toBe(false);
});

describe("if no other opening is in range", () => {
  const today = { days: ALWAYS_OPEN.days, start: "00:00", end: "24:00" };
  const allLaterDays = Array.from({ length: 400 }, (_, index) =>
    new Date(NOON.getTime() + (index + 1) * DAY).toISOString().slice(0, 10),
  );

  it("a full cap holds for a day, and a free one lets pass", () => {
    const holidays = { country: null, region: null, ownDates: allLaterDays, workingDates: [] };
    const workspace = { sendWindow: today, holidays, dailyCap: 1 };
    expect(decide(anItem({ workspace: { ...workspace, dailyCapUsed: 1 } }), NOON)).toMatchObject({
      reason: "daily_cap_reached",
      until: new Date(NOON.getTime() + DAY),
    });
    expect(decide(anItem({ workspace }), NOON).kind).toBe("send");
  });

  it("reports a window without days as closed days", () => {
    const { lead, workspace } = anItem();
    const withDays = (days: readonly number[]) => ({ ...workspace, sendWindow: { ...today, days } });
    expect(shutNow({ lead, workspace: withDays([]), channel: "email" }, NOON)).toBe("closed_day");
    expect(shutNow({ lead, workspace: withDays([3]), channel: "email" }, NOON)).toBeUndefined();
  });
});
