import { DAY_MS, type LocalDay, type Stretch, stretchAt } from "./local-days.ts";

export { localDayOf, startOfLocalDay, startOfNextLocalDay } from "./local-days.ts";

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
