import { Temporal } from "temporal-polyfill";
import { DAY_MS, MINUTE_MS, zonedDateTime } from "./time-zone.ts";

/**
 * The hours in which sending is allowed: the local clock shows `start` or later, but not yet `end`.
 *
 * - If `end` is not after `start`, the window runs overnight. If they are equal, it is open for 24 hours.
 * - The window belongs to the day on which it opens. Friday's window runs into Saturday morning. A holiday's overnight
 *   window stays closed on the next morning too.
 * - Clock changes: if the clock skips `start`, the window opens right after the jump. If the clock skips the whole
 *   window, it stays closed. Repeated hours count twice.
 */
export interface SendWindow {
  /** Local weekdays on which the window opens. ISO: 1 is Monday, 7 is Sunday. */
  readonly days: readonly number[];
  /** Such as `09:00`. */
  readonly start: string;
  /** Such as `17:00`; from `00:00` to `24:00`. */
  readonly end: string;
}

/** When sending to a lead is allowed. */
export interface SendCalendar {
  readonly zone: string;
  readonly window: SendWindow;
  /** Takes a local date such as `2026-12-25`. No window opens on a holiday. */
  readonly isHoliday: (localDate: string) => boolean;
}

/** How far ahead `nextOpening` searches: one leap year. */
const HORIZON_MS = 366 * DAY_MS;

/** A period in which sending is allowed; `until` is exclusive. Within one local day; another may follow directly. */
export interface Opening {
  readonly from: Date;
  readonly until: Date;
}

/**
 * The earliest opening from `now` on. It starts at `now` if the window is open. Null if none starts within 366 days.
 * Throws RangeError for an invalid zone or window time.
 */
export function nextOpening(now: Date, calendar: SendCalendar): Opening | null {
  const earliest = now.getTime();
  const latest = earliest + HORIZON_MS;
  for (let stretch = stretchAt(now, calendar.zone); stretch.from <= latest; stretch = stretch.following()) {
    const open = openingIn(stretch, earliest, calendar);
    if (open && open.from > latest) return null;
    if (open) return { from: open.from === earliest ? now : new Date(open.from), until: new Date(open.until) };
  }
  return null;
}

interface Span {
  readonly from: number;
  readonly until: number;
}

function openingIn(stretch: Stretch, earliest: number, calendar: SendCalendar): Span | undefined {
  const start = clockOf(calendar.window.start);
  const end = clockOf(calendar.window.end);
  if (start < end) return opens(stretch.day, calendar, whileShown(stretch, earliest, start, end));
  return (
    opens(stretch.dayBefore, calendar, whileShown(stretch, earliest, 0, end)) ??
    opens(stretch.day, calendar, whileShown(stretch, earliest, start, DAY_MS))
  );
}

/** The part of the stretch, from `earliest` on, in which the local clock shows `from` or later but not yet `until`. */
function whileShown(stretch: Stretch, earliest: number, from: number, until: number): Span | undefined {
  const midnight = stretch.from - stretch.clockAtFrom;
  const first = Math.max(earliest, stretch.from, midnight + from);
  const end = Math.min(stretch.until, midnight + until);
  return first < end ? { from: first, until: end } : undefined;
}

function opens(day: LocalDay, calendar: SendCalendar, opening: Span | undefined): Span | undefined {
  if (opening === undefined) return undefined;
  return calendar.window.days.includes(day.weekday) && !calendar.isHoliday(day.date) ? opening : undefined;
}

const clocks = new Map<string, number>();

/** A time of a send window, such as `09:00`, in milliseconds since midnight. Throws RangeError for another text. */
export function clockOf(time: string): number {
  const known = clocks.get(time);
  if (known !== undefined) return known;
  if (!/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/.test(time)) {
    throw new RangeError(`"${time}" is not a time of a send window; expected HH:MM, from 00:00 to 24:00`);
  }
  const [hours, minutes] = time.split(":").map(Number);
  const clock = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
  clocks.set(time, clock);
  return clock;
}

/** A day of the local calendar. */
interface LocalDay {
  /** Such as `2026-03-08`. */
  readonly date: string;
  /** ISO: 1 is Monday, 7 is Sunday. */
  readonly weekday: number;
}

/**
 * A period, `until` exclusive, within one local date and without a clock change. Most local days are one stretch. Days
 * with a clock change are two or more.
 */
interface Stretch {
  readonly from: number;
  readonly until: number;
  /** The local clock time at `from`, in milliseconds since midnight. */
  readonly clockAtFrom: number;
  readonly day: LocalDay;
  /** The zone's previous day. Not the previous date if the zone skipped that date. */
  readonly dayBefore: LocalDay;
  /** The stretch that starts where this one ends. */
  readonly following: () => Stretch;
}

/** The local date of the instant, such as `2026-03-08`. Throws RangeError for an invalid zone. */
export function localDayOf(instant: Date, zone: string): string {
  const known = firstKnown.get(zone);
  if (known && reaches(known, instant.getTime())) return stretchAt(instant, zone).day.date;
  return zonedDateTime(instant.getTime(), zone).toPlainDate().toString();
}

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

/** When this local date such as `2026-12-24` starts. Throws RangeError for an invalid zone. */
export const startOfLocalDay = (date: string, zone: string): Date =>
  new Date(Temporal.PlainDate.from(date).toZonedDateTime(zone).epochMilliseconds);

/** A cache of the first stretch per zone: a run asks for one instant and the days after it in many zones. */
const firstKnown = new Map<string, Stretch>();
const KEPT_ZONES = 1_000;
const REACH_MS = 8 * DAY_MS;

const reaches = (first: Stretch, instant: number): boolean => first.from <= instant && instant - first.from < REACH_MS;

/** The stretch that contains the instant. Throws RangeError for an invalid zone. */
function stretchAt(instant: Date, zone: string): Stretch {
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
  return {
    from: start.epochMilliseconds,
    until: end.epochMilliseconds,
    clockAtFrom,
    day: localDay(start),
    dayBefore: localDay(start.startOfDay().subtract({ milliseconds: 1 })),
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
