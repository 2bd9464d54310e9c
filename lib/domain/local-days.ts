import { Temporal } from "temporal-polyfill";
import { zonedDateTime } from "./time-zone.ts";

/** A day of the local calendar. */
export interface LocalDay {
  /** Such as `2026-03-08`. */
  readonly date: string;
  /** ISO: 1 is Monday, 7 is Sunday. */
  readonly weekday: number;
}

/**
 * A period, `until` exclusive, within one local date and without a clock change. Most local days are one stretch. Days
 * with a clock change are two or more.
 */
export interface Stretch {
  readonly from: number;
  readonly until: number;
  /** The local clock time at `from`, in milliseconds since midnight. */
  readonly clockAtFrom: number;
  readonly day: LocalDay;
  readonly dayStart: number;
  /** The zone's previous day. Not the previous date if the zone skipped that date. */
  readonly dayBefore: LocalDay;
  /** The stretch that starts where this one ends. */
  readonly following: () => Stretch;
}

export const DAY_MS = 24 * 60 * 60_000;

/** The local date of the instant, such as `2026-03-08`. Throws RangeError for an invalid zone. */
export function localDayOf(instant: Date, zone: string): string {
  const known = firstKnown.get(zone);
  if (known && reaches(known, instant.getTime())) return stretchAt(instant, zone).day.date;
  return zonedDateTime(instant.getTime(), zone).toPlainDate().toString();
}

/** The start of the local day that contains the instant. Throws RangeError for an invalid zone. */
export const startOfLocalDay = (instant: Date, zone: string): Date => new Date(stretchAt(instant, zone).dayStart);

/**
 * The start of the next local day. Handles zones that skip midnight or a whole date. Throws RangeError for an invalid
 * zone.
 */
export function startOfNextLocalDay(instant: Date, zone: string): Date {
  const now = stretchAt(instant, zone);
  let later = now.following();
  while (later.day.date <= now.day.date) later = later.following();
  return new Date(later.from);
}

/** A cache of the first stretch per zone: a run asks for one instant and the days after it in many zones. */
const firstKnown = new Map<string, Stretch>();
const KEPT_ZONES = 1_000;
const REACH_MS = 8 * DAY_MS;

const reaches = (first: Stretch, instant: number): boolean => first.from <= instant && instant - first.from < REACH_MS;

/** The stretch that contains the instant. Throws RangeError for an invalid zone. */
export function stretchAt(instant: Date, zone: string): Stretch {
  const time = instant.getTime();
  const known = firstKnown.get(zone);
  let stretch = known && reaches(known, time) ? known : keepFirst(zone, zonedDateTime(time, zone).startOfDay());
  while (stretch.until <= time) stretch = stretch.following();
  return stretch;
}

function keepFirst(zone: string, start: Temporal.ZonedDateTime): Stretch {
  const first = stretchFrom(start);
  if (firstKnown.size >= KEPT_ZONES) firstKnown.clear();
  firstKnown.set(zone, first);
  return first;
}

function stretchFrom(start: Temporal.ZonedDateTime): Stretch {
  const clockAtFrom = start.toPlainTime().since(MIDNIGHT).total("milliseconds");
  const end = endOfStretch(start, start.add({ milliseconds: DAY_MS - clockAtFrom }));
  const dayStart = start.startOfDay();
  return {
    from: start.epochMilliseconds,
    until: end.epochMilliseconds,
    clockAtFrom,
    day: localDay(start),
    dayStart: dayStart.epochMilliseconds,
    dayBefore: localDay(dayStart.subtract({ milliseconds: 1 })),
    following: onceFrom(end.epochMilliseconds, start.timeZoneId),
  };
}

/** Lazy and memoised. Captures only two plain values, because the cache may hold a year of stretches in many zones. */
function onceFrom(time: number, zone: string): () => Stretch {
  let stretch: Stretch | undefined;
  return () => {
    stretch ??= stretchFrom(zonedDateTime(time, zone));
    return stretch;
  };
}

/** Looks up the next clock change only if the offset differs by the end of the day, because the lookup is slow. */
function endOfStretch(start: Temporal.ZonedDateTime, endOfDay: Temporal.ZonedDateTime): Temporal.ZonedDateTime {
  if (endOfDay.offsetNanoseconds === start.offsetNanoseconds) return endOfDay;
  return start.getTimeZoneTransition("next") ?? endOfDay;
}

const MIDNIGHT = new Temporal.PlainTime();

const localDay = (local: Temporal.ZonedDateTime): LocalDay => ({
  date: local.toPlainDate().toString(),
  weekday: local.dayOfWeek,
});
