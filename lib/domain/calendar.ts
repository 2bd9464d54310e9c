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

/** A stretch of time in which may be sent, `until` exclusive. It lies in one local day; another may follow at once. */
export interface Opening {
  readonly from: Date;
  readonly until: Date;
}

/**
 * The earliest opening from `now` on, which begins at `now` itself while the window is open; null where none begins
 * within 366 days. Throws RangeError for an invalid zone or window time.
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

/** While the clock, from `earliest` on, shows `from` or later, but not yet `until`, if it does in this stretch. */
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
