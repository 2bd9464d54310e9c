import { Temporal } from "temporal-polyfill";
import { zonedDateTime } from "./time-zone.ts";

/** A day of the local calendar. */
export interface LocalDay {
  /** As in `2026-03-08`. */
  readonly date: string;
  /** ISO: 1 is Monday, 7 is Sunday. */
  readonly weekday: number;
}

/**
 * A stretch of time, `until` exclusive, in which the local clock runs without a jump and the local date stays the same.
 * Most local days are one stretch; those on which the clock is changed are two or more.
 */
export interface Stretch {
  readonly from: number;
  readonly until: number;
  /** What the local clock shows at `from`, in milliseconds since midnight. */
  readonly clockAtFrom: number;
  readonly day: LocalDay;
  readonly dayStart: number;
  /** The day that the zone had before this one: not the date before it where the zone skipped that date. */
  readonly dayBefore: LocalDay;
  /** The stretch that begins where this one ends. */
  readonly following: () => Stretch;
}

export const DAY_MS = 24 * 60 * 60_000;

/** The local date of the instant, as in `2026-03-08`. Throws RangeError for an invalid zone. */
export function localDayOf(instant: Date, zone: string): string {
  const known = firstKnown.get(zone);
  if (known && reaches(known, instant.getTime())) return stretchAt(instant, zone).day.date;
  return zonedDateTime(instant.getTime(), zone).toPlainDate().toString();
}

/** The first instant of the local day that holds the instant. Throws RangeError for an invalid zone. */
export const startOfLocalDay = (instant: Date, zone: string): Date => new Date(stretchAt(instant, zone).dayStart);

/**
 * The first later instant that is on a later local day: not midnight where the clock jumps over it, and not on the next
 * date where the zone skips that. Throws RangeError for an invalid zone.
 */
export function startOfNextLocalDay(instant: Date, zone: string): Date {
  const now = stretchAt(instant, zone);
  let later = now.following();
  while (later.day.date <= now.day.date) later = later.following();
  return new Date(later.from);
}

/** A run asks for one instant in many zones and for the days after it: of each zone these are kept. */
const firstKnown = new Map<string, Stretch>();
const KEPT_ZONES = 1_000;
const REACH_MS = 8 * DAY_MS;

const reaches = (first: Stretch, instant: number): boolean => first.from <= instant && instant - first.from < REACH_MS;

/** The stretch that holds the instant. Throws RangeError for an invalid zone. */
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

/** On demand and once; it holds on to two plain values, as a year of stretches in many zones may be kept. */
function onceFrom(time: number, zone: string): () => Stretch {
  let stretch: Stretch | undefined;
  return () => {
    stretch ??= stretchFrom(zonedDateTime(time, zone));
    return stretch;
  };
}

/** The next jump of the clock is looked up, at some cost, only where one has come to pass by the end of the day. */
function endOfStretch(start: Temporal.ZonedDateTime, endOfDay: Temporal.ZonedDateTime): Temporal.ZonedDateTime {
  if (endOfDay.offsetNanoseconds === start.offsetNanoseconds) return endOfDay;
  return start.getTimeZoneTransition("next") ?? endOfDay;
}

const MIDNIGHT = new Temporal.PlainTime();

const localDay = (local: Temporal.ZonedDateTime): LocalDay => ({
  date: local.toPlainDate().toString(),
  weekday: local.dayOfWeek,
});
