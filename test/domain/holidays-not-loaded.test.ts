import { expect, it } from "@jest/globals";
import type * as Holidays from "../../lib/domain/holidays.ts";

/** A fresh copy of the module, even if other tests have loaded it. */
const untouched = "../../lib/domain/holidays.ts?untouched";

it("public holidays throw before they are loaded, own dates do not, and loading twice is harmless", async () => {
  const { hasHolidays, holidayCalendar, loadHolidays }: typeof Holidays = await import(untouched);
  const early = "holidays were used before loadHolidays()";
  expect(() => hasHolidays("DE", null)).toThrow(early);
  expect(() => holidayCalendar("DE", null)).toThrow(early);
  expect(holidayCalendar(null, null, ["2026-12-24"])("2026-12-24")).toBe(true);
  await loadHolidays();
  await loadHolidays();
  expect(hasHolidays("DE", null)).toBe(true);
  expect(holidayCalendar("DE", null)("2026-12-25")).toBe(true);
});
