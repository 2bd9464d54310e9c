import type { default as Holidays, HolidaysTypes } from "date-holidays";
import { Temporal } from "temporal-polyfill";

let library: { readonly Holidays: typeof Holidays; readonly places: Holidays } | undefined;

/** Loads the holidays of the world. To be awaited before they are asked for; a function that needs none does not load them. */
export async function loadHolidays(): Promise<void> {
  const { default: Holidays } = await import("date-holidays");
  library ??= { Holidays, places: new Holidays() };
}

function loaded() {
  if (!library) throw new Error("holidays were asked for before loadHolidays()");
  return library;
}

/** Says whether a local date, as in `2026-12-25`, is a holiday. */
export type HolidayCalendar = (localDate: string) => boolean;

/**
 * The public holidays of a country, or of a region in it, with own dates beside them; without a country the own dates
 * alone. A holiday counts for the days that it covers whole: one that begins at noon leaves its day open. Throws
 * RangeError for a country or region that `hasHolidays` does not know; the calendar throws RangeError for a date before 1970
 * or after 2199.
 */
export function holidayCalendar(
  country: string | null,
  region: string | null,
  ownDates: Iterable<string> = [],
): HolidayCalendar {
  const own = new Set(ownDates);
  if (country === null && region === null) return (localDate) => own.has(localDate);
  const isPublicHoliday = publicHolidays(country, region);
  return (localDate) => own.has(localDate) || isPublicHoliday(localDate);
}

/**
 * Says whether the public holidays of a country are known, and those of a region in it. The country is an ISO 3166-1
 * code such as `DE`, the region the second part of an ISO 3166-2 code such as `BY`, in some countries with a district
 * behind it, as in `BY-A`.
 */
export function hasHolidays(country: string, region: string | null): boolean {
  const { places } = loaded();
  if (!Object.hasOwn(places.getCountries(), country)) return false;
  if (region === null) return true;
  // The library writes regions in capitals before it looks them up, and so misses its own few that have small letters.
  if (region !== region.toUpperCase()) return false;
  const [state = "", district, ...more] = region.split("-");
  if (more.length > 0 || !Object.hasOwn(places.getStates(country) ?? {}, state)) return false;
  return district === undefined || Object.hasOwn(places.getRegions(country, state) ?? {}, district);
}

const calendars = new Map<string, HolidayCalendar>();

/** One calendar a place for the whole process, as a year of it takes some milliseconds to work out. */
function publicHolidays(country: string | null, region: string | null): HolidayCalendar {
  if (country === null) throw new RangeError("holiday_region is set without holiday_country");
  const place = region === null ? country : `${country} ${region}`;
  const known = calendars.get(place);
  if (known) return known;
  if (!hasHolidays(country, region)) throw new RangeError(region === null ? UNKNOWN_COUNTRY : UNKNOWN_REGION);
  const calendar = calendarOf(holidaysOf(country, region));
  calendars.set(place, calendar);
  return calendar;
}

/** By the columns, not the values: these messages stand in reports. */
const UNKNOWN_COUNTRY = "holiday_country has no known holidays; expected a code such as DE";
const UNKNOWN_REGION = "holiday_country and holiday_region have no known holidays; expected codes such as DE and BY";

/** In UTC, so that a holiday of one day lasts 24 hours whatever the clocks of its country do. */
function holidaysOf(country: string, region: string | null): Holidays {
  const [state, district] = region?.split("-") ?? [];
  const options: HolidaysTypes.Options = { types: ["public"], timezone: "UTC" };
  const { Holidays } = loaded();
  if (state === undefined) return new Holidays(country, options);
  if (district === undefined) return new Holidays(country, state, options);
  return new Holidays(country, state, district, options);
}

function calendarOf(holidays: Holidays): HolidayCalendar {
  const dates = new Set<string>();
  const added = new Set<number>();
  const add = (year: number): void => {
    if (added.has(year)) return;
    for (const holiday of holidays.getHolidays(year)) for (const date of wholeDays(holiday)) dates.add(date);
    added.add(year);
  };
  return (localDate) => {
    const year = Number(localDate.slice(0, 4));
    if (localDate.length !== 10 || year < FIRST_YEAR || year > LAST_YEAR) throw new RangeError(UNKNOWN_YEAR);
    // Those of the year before may last into this one.
    add(year - 1);
    add(year);
    return dates.has(localDate);
  };
}

/** A holiday that begins at sunset is listed under the day after it, with its length unchanged. */
function wholeDays({ date, start, end }: HolidaysTypes.Holiday): string[] {
  const first = Temporal.PlainDate.from(date.slice(0, 10));
  const length = Math.floor((end.getTime() - start.getTime()) / DAY_MS);
  return Array.from({ length }, (_, index) => first.add({ days: index }).toString());
}

const DAY_MS = 24 * 60 * 60_000;

/** Outside these years the library's lunar and solar calendars throw, or never return. */
const FIRST_YEAR = 1970;
const LAST_YEAR = 2199;
const UNKNOWN_YEAR = `holidays are known from ${FIRST_YEAR} to ${LAST_YEAR} only`;
