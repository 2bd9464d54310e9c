import type { default as Holidays, HolidaysTypes } from "date-holidays";
import { Temporal } from "temporal-polyfill";
import { DAY_MS } from "./time-zone.ts";

let library: { readonly Holidays: typeof Holidays; readonly places: Holidays } | undefined;

/** Loads the holiday library. Await it before using public holidays. Lazy, because some functions need none. */
export async function loadHolidays(): Promise<void> {
  const { default: Holidays } = await import("date-holidays");
  library ??= { Holidays, places: new Holidays() };
}

function loaded() {
  if (!library) throw new Error("holidays were used before loadHolidays()");
  return library;
}

/** Returns whether a local date such as `2026-12-25` is a holiday. */
export type HolidayCalendar = (localDate: string) => boolean;

/**
 * The public holidays of a country or region without the working dates, plus own dates. Without a country, only the own
 * dates. A holiday counts only for whole days: one that starts at noon leaves its first day open. Throws RangeError for
 * an unknown country or region, see `hasHolidays`. With a country, the calendar throws RangeError for a date before 1970
 * or after 2199.
 */
export function holidayCalendar(
  country: string | null,
  region: string | null,
  ownDates: Iterable<string> = [],
  workingDates: Iterable<string> = [],
): HolidayCalendar {
  const own = new Set(ownDates);
  const working = new Set(workingDates);
  if (country === null && region === null) return (localDate) => own.has(localDate);
  const isPublicHoliday = publicHolidays(country, region);
  return (localDate) => own.has(localDate) || (isPublicHoliday(localDate) && !working.has(localDate));
}

/**
 * Whether the public holidays of a country, and of a region if given, are known. The country is an ISO 3166-1 code such
 * as `DE`. The region is the second part of an ISO 3166-2 code such as `BY`, optionally with a district: `BY-A`.
 */
export function hasHolidays(country: string, region: string | null): boolean {
  const { places } = loaded();
  if (!Object.hasOwn(places.getCountries(), country)) return false;
  if (region === null) return true;
  // The library upper-cases regions before lookup, so it cannot find its own few with lower-case letters.
  if (region !== region.toUpperCase()) return false;
  const [state = "", district, ...more] = region.split("-");
  if (more.length > 0 || !Object.hasOwn(places.getStates(country) ?? {}, state)) return false;
  return district === undefined || Object.hasOwn(places.getRegions(country, state) ?? {}, district);
}

const calendars = new Map<string, HolidayCalendar>();

/** Cached per place for the whole process: computing one year takes milliseconds. */
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

/** Name the columns, not the values: these messages appear in reports. */
const UNKNOWN_COUNTRY = "holiday_country has no known holidays; expected a code such as DE";
const UNKNOWN_REGION = "holiday_country and holiday_region have no known holidays; expected codes such as DE and BY";

/** In UTC, so that a one-day holiday lasts 24 hours even across a clock change. */
function holidaysOf(country: string, region: string | null): Holidays {
  const [state, district] = region?.split("-") ?? [];
  const options: HolidaysTypes.Options = { types: ["public"], timezone: "UTC" };
  const { Holidays } = loaded();
  if (state === undefined) return new Holidays(country, options);
  if (district === undefined) return new Holidays(country, state, options);
  return new Holidays(country, state, district, options);
}

/** A date on which nothing is sent, with the library's name of it: in English, if the library has one. */
interface NamedHoliday {
  readonly date: string;
  readonly name: string;
}

/**
 * The dates of a year that `holidayCalendar` counts for a country or region, in order. Throws RangeError for an unknown
 * country, region or year.
 */
export function holidaysOfYear(country: string, region: string | null, year: number): readonly NamedHoliday[] {
  const isHoliday = publicHolidays(country, region);
  const holidays = holidaysOf(country, region);
  const named = [year - 1, year].flatMap((each) => holidays.getHolidays(each, "en"));
  const names = new Map(named.flatMap((holiday) => wholeDays(holiday).map((date) => [date, holiday.name] as const)));
  return [...names]
    .flatMap(([date, name]) => (date.startsWith(`${year}-`) && isHoliday(date) ? [{ date, name }] : []))
    .sort((left, right) => left.date.localeCompare(right.date));
}

/** The codes and names of a country's regions; empty if it has none. */
export const regionsOf = (country: string): readonly (readonly [code: string, name: string])[] =>
  Object.entries(loaded().places.getStates(country, "en") ?? {});

/** How the data of some countries differs from the days on which their offices are closed. */
export const POOR_DATA: Readonly<Record<string, string>> = {
  AE: "Islamic dates are computed, and may differ by a day from those that are announced; some listed days are no public holidays, and others are missing",
  CN: "the days around the festivals, and the working days at weekends, are announced each year and missing; Children's Day is listed, although adults work",
  IN: "only days with a date by rule are listed; Holi, Diwali, Id and the holidays of most states are missing",
};

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
    // Holidays of the previous year may extend into this one.
    add(year - 1);
    add(year);
    return dates.has(localDate);
  };
}

/** The library lists a holiday that starts at sunset under the next day, with its length unchanged. */
function wholeDays({ date, start, end }: HolidaysTypes.Holiday): string[] {
  const first = Temporal.PlainDate.from(date.slice(0, 10));
  const length = Math.floor((end.getTime() - start.getTime()) / DAY_MS);
  return Array.from({ length }, (_, index) => first.add({ days: index }).toString());
}

/** Outside these years the library's lunar and solar calendars throw or never return. */
const FIRST_YEAR = 1970;
const LAST_YEAR = 2199;
const UNKNOWN_YEAR = `holidays are known from ${FIRST_YEAR} to ${LAST_YEAR} only`;
