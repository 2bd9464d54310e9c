import { ONE_CASE_IN } from "../support/one-case-in.ts";

/** Local clocks from Intl. Offset changes are found by bisection, without Temporal or the code under test. */

/** Zones whose clock changes at midnight, by half an hour, or at a minute past midnight. */
const ODD_ZONES = ["Africa/Cairo", "America/Havana", "America/St_Johns", "Asia/Beirut", "Australia/Lord_Howe"];

/** The zones of the time zone database. `ONE_CASE_IN` thins them out, but keeps the odd ones. */
export const ZONES: readonly string[] = Intl.supportedValuesOf("timeZone").filter(
  (zone, index) => index % ONE_CASE_IN === 0 || ODD_ZONES.includes(zone),
);
export const FIRST = Date.UTC(2020, 0, 1);
export const LAST = Date.UTC(2031, 0, 1);

export const MINUTE = 60_000;
export const DAY = 24 * 60 * MINUTE;
/** Shorter than any period between two clock changes since 2019. */
const SAMPLING = 14 * DAY;
const MARGIN = 60 * DAY;

/** The offset applies from `at` until the next change. */
interface OffsetChange {
  readonly at: number;
  readonly offset: number;
}

const changes = new Map<string, readonly OffsetChange[]>();

/** Oldest first. The first entry is the initial offset, not a change. */
export function offsetChanges(zone: string): readonly OffsetChange[] {
  const known = changes.get(zone) ?? findChanges(zone);
  changes.set(zone, known);
  return known;
}

function findChanges(zone: string): readonly OffsetChange[] {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" });
  const offsetShown = (instant: number) => Date.parse(`${format.format(instant).replace(" ", "T")}Z`) - instant;
  const found: OffsetChange[] = [{ at: FIRST - MARGIN, offset: offsetShown(FIRST - MARGIN) }];
  for (let before = FIRST - MARGIN; before < LAST + MARGIN; before += SAMPLING) {
    const later = offsetShown(before + SAMPLING);
    if (found.at(-1)?.offset === later) continue;
    found.push({ at: bisect(before, before + SAMPLING, offsetShown), offset: later });
  }
  return found;
}

function bisect(from: number, until: number, offsetShown: (instant: number) => number): number {
  let [before, after] = [from, until];
  while (after - before > MINUTE) {
    const middle = before + Math.floor((after - before) / 2 / MINUTE) * MINUTE;
    if (offsetShown(middle) === offsetShown(from)) before = middle;
    else after = middle;
  }
  return after;
}

export interface Shown {
  /** Days since 1970-01-01. */
  readonly day: number;
  /** Minutes since midnight. */
  readonly minute: number;
}

/** The local day and minute at an instant. */
export function wallClock(instant: number, zone: string): Shown {
  const shown = instant + offsetAt(instant, offsetChanges(zone));
  const day = Math.floor(shown / DAY);
  return { day, minute: Math.floor((shown - day * DAY) / MINUTE) };
}

/** A plain loop for speed: the searches call it millions of times. */
function offsetAt(instant: number, known: readonly OffsetChange[]): number {
  let index = known.length - 1;
  while ((known[index]?.at ?? instant) > instant) index -= 1;
  return known[index]?.offset ?? Number.NaN;
}

/** 1 January 1970 was a Thursday. */
export const weekdayOf = (day: number): number => ((day + 3) % 7) + 1;
export const dateOf = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10);
/** Such as `09:30`. */
export const timeOf = (minute: number): string => new Date(minute * MINUTE).toISOString().slice(11, 16);
