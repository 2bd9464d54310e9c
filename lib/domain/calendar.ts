import { DAY_MS, type LocalDay, type Stretch, stretchAt } from "./local-days.ts";

export { localDayOf, startOfLocalDay, startOfNextLocalDay } from "./local-days.ts";

/**
 * The hours in which may be sent: while the local clock shows `start` or later, but not yet `end`.
 *
 * With an `end` that is not after `start` the window runs overnight into the next day; with the two alike it is open for
 * a whole day. It belongs to the day on which it opens, for weekdays and holidays alike: the window of a Friday runs on
 * into Saturday morning, and the one of a holiday does not open on the morning after either. The clock decides also
 * where it is changed: what it jumps over does not happen, so that a window whose start is skipped opens right after the
 * jump and one that is skipped whole stays shut; what it shows twice is open, or shut, twice.
 */
export interface SendWindow {
  /** The local days on which the window opens; ISO: 1 is Monday, 7 is Sunday. */
  readonly days: readonly number[];
  /** As in `09:00`. */
  readonly start: string;
  /** As in `17:00`, from `00:00` to `24:00`. */
  readonly end: string;
}

/** When may be sent to somebody. */
export interface SendCalendar {
  readonly zone: string;
  readonly window: SendWindow;
  /** Asked with a local date, as in `2026-12-25`. No window opens on a holiday. */
  readonly isHoliday: (localDate: string) => boolean;
}

/** How far `nextOpening` looks: a year with its leap day. */
const HORIZON_MS = 366 * DAY_MS;

/**
 * The earliest instant, from `now` on, at which may be sent: `now` itself while the window is open, null where none opens
 * within 366 days. Throws RangeError for a zone that does not exist and for times that are none.
 */
export function nextOpening(now: Date, calendar: SendCalendar): Date | null {
  const earliest = now.getTime();
  const latest = earliest + HORIZON_MS;
  for (let stretch = stretchAt(now, calendar.zone); stretch.from <= latest; stretch = stretch.following()) {
    const opening = openingIn(stretch, earliest, calendar);
    if (opening === earliest) return now;
    if (opening !== undefined) return opening <= latest ? new Date(opening) : null;
  }
  return null;
}

function openingIn(stretch: Stretch, earliest: number, calendar: SendCalendar): number | undefined {
  const start = clockOf(calendar.window.start);
  const end = clockOf(calendar.window.end);
  if (start < end) return opens(stretch.day, calendar, firstShown(stretch, earliest, start, end));
  return (
    opens(stretch.dayBefore, calendar, firstShown(stretch, earliest, 0, end)) ??
    opens(stretch.day, calendar, firstShown(stretch, earliest, start, DAY_MS))
  );
}

/** When, from `earliest` on, the clock first shows `from` or later, but not yet `until`, if it does in this stretch. */
function firstShown(stretch: Stretch, earliest: number, from: number, until: number): number | undefined {
  const midnight = stretch.from - stretch.clockAtFrom;
  const first = Math.max(earliest, stretch.from, midnight + from);
  return first < Math.min(stretch.until, midnight + until) ? first : undefined;
}

function opens(day: LocalDay, calendar: SendCalendar, opening: number | undefined): number | undefined {
  if (opening === undefined) return undefined;
  return calendar.window.days.includes(day.weekday) && !calendar.isHoliday(day.date) ? opening : undefined;
}

const clocks = new Map<string, number>();

function clockOf(time: string): number {
  const known = clocks.get(time);
  if (known !== undefined) return known;
  if (!/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/.test(time)) {
    throw new RangeError(`"${time}" is not a time of a send window; expected HH:MM, from 00:00 to 24:00`);
  }
  const [hours, minutes] = time.split(":").map(Number);
  const clock = (Number(hours) * 60 + Number(minutes)) * 60_000;
  clocks.set(time, clock);
  return clock;
}
