import { Temporal } from "temporal-polyfill";

export const MINUTE_MS = 60_000;
/** How far the clock of another system may differ from the database's. */
export const CLOCKS_DIFFER_MS = 5 * MINUTE_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Instants from outside are in the years 2000 to 2199: far from the limits of a Date and of PostgreSQL. */
export const EARLIEST = Date.parse("2000-01-01T00:00:00Z");
export const LATEST = Date.parse("2200-01-01T00:00:00Z");

export const minutesAfter = (instant: Date, minutes: number): Date => new Date(instant.getTime() + minutes * MINUTE_MS);

export const daysAfter = (instant: Date, days: number): Date => minutesAfter(instant, days * 24 * 60);

/** When to recheck a hold whose end is unknown. */
export const recheckSoon = (now: Date): Date => minutesAfter(now, 15);

/** When to recheck a row that a person must repair, or a pause that an event should end. */
export const repairBy = (now: Date): Date => daysAfter(now, 1);

/** The zone that a decision used, and its source. */
export interface ZoneUsed {
  readonly zone: string;
  readonly from: "lead" | "workspace";
}

/** The lead's zone, otherwise the workspace's (default UTC). It may be invalid: check with `isTimeZone`. */
export const zoneUsed = (lead: { timeZone: string | null }, workspace: { timeZone: string }): ZoneUsed =>
  lead.timeZone === null ? { zone: workspace.timeZone, from: "workspace" } : { zone: lead.timeZone, from: "lead" };

/** IANA names have less than half as many characters. Longer text is neither parsed nor cached. */
const LONGEST_NAME = 100;
const KEPT_NAMES = 1_000;
const known = new Map<string, boolean>();

/**
 * Whether Temporal accepts the text as a time zone identifier. `Intl` also accepts legacy names such as `PST` and
 * `IST`, for which Temporal throws. Check every external zone with this before storing or using it.
 */
export function isTimeZone(zone: string): boolean {
  if (zone.length > LONGEST_NAME) return false;
  const remembered = known.get(zone);
  if (remembered !== undefined) return remembered;
  const valid = isTaken(zone);
  if (known.size >= KEPT_NAMES) known.clear();
  known.set(zone, valid);
  return valid;
}

/** The zone, or UTC if invalid, for calculations that must not fail. */
export const zoneOrUtc = (zone: string): string => (isTimeZone(zone) ? zone : "UTC");

function isTaken(zone: string): boolean {
  try {
    zonedDateTime(0, zone);
    return true;
  } catch (thrown) {
    if (thrown instanceof RangeError) return false;
    throw thrown;
  }
}

/**
 * Converts epoch milliseconds to a zone. Uses the constructor because it accepts only identifiers; `toZonedDateTimeISO`
 * also accepts dates such as `2026-11-25T14:00Z`. Throws RangeError for an invalid zone and outside Temporal's range.
 */
export const zonedDateTime = (epochMilliseconds: number, zone: string): Temporal.ZonedDateTime =>
  new Temporal.ZonedDateTime(BigInt(epochMilliseconds) * NANOSECONDS, zone);

const NANOSECONDS = 1_000_000n;

export const MINUTES_PER_DAY = 24 * 60;

/**
 * Adds a delay in local calendar time. Whole days keep the local time of day across daylight-saving changes; the
 * remainder is elapsed time. Throws RangeError for an invalid zone if the delay is at least a day.
 */
export function laterInZone(from: Date, delayMinutes: number, zone: string): Date {
  if (delayMinutes < MINUTES_PER_DAY) return new Date(from.getTime() + delayMinutes * MINUTE_MS);
  const key = `${delayMinutes} ${zone}`;
  const later = laterFrom(from.getTime());
  const time = later.get(key) ?? laterByCalendar(from, delayMinutes, zone);
  later.set(key, time);
  return new Date(time);
}

function laterByCalendar(from: Date, delayMinutes: number, zone: string): number {
  const local = zonedDateTime(from.getTime(), zone);
  const days = Math.floor(delayMinutes / MINUTES_PER_DAY);
  return local.add({ days, minutes: delayMinutes % MINUTES_PER_DAY }).epochMilliseconds;
}

/** A cache for the last instant: a run uses one instant with few delays and zones. */
const last = { from: Number.NaN, later: new Map<string, number>() };
const KEPT = 10_000;

function laterFrom(from: number): Map<string, number> {
  if (last.from !== from || last.later.size >= KEPT) Object.assign(last, { from, later: new Map() });
  return last.later;
}
