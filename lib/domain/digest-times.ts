import type { Temporal } from "temporal-polyfill";
import { localDayOf } from "./local-days.ts";
import { zonedDateTime, zoneOrUtc } from "./time-zone.ts";

/** When a workspace is told what happened. */
export interface DigestTime {
  /** As in `08:00`. */
  readonly time: string;
  readonly zone: string;
}

/** What becomes of the open window of a workspace. */
export interface DigestWindow {
  /** Where it ends, if it has: what happened before this instant is told. */
  readonly end: Date | null;
  /** Where the window that is open now will end. */
  readonly nextEnd: Date;
}

/** The open window of a workspace, as it was left. */
export interface OpenWindow extends DigestTime {
  /** Null: never reckoned, or not since time or zone were changed. */
  readonly end: Date | null;
  /** The end of the last window that had something to tell. */
  readonly lastTold: Date | null;
}

/**
 * Closes a window whose end has come, and says where the next one ends. After an outage one window spans all the days that
 * were missed. A window that has to be reckoned is not closed, and does not end on a local day on which a digest was made.
 */
export function closeWindow({ end, lastTold, ...given }: OpenWindow, now: Date): DigestWindow {
  const digest = { ...given, zone: zoneOrUtc(given.zone) };
  const nextEnd = nextDigest(now, digest);
  if (end !== null) return { end: end <= now ? latestDigest(now, digest) : null, nextEnd };
  const toldThatDay = lastTold !== null && localDayOf(lastTold, digest.zone) === localDayOf(nextEnd, digest.zone);
  return { end: null, nextEnd: toldThatDay ? nextDigest(nextEnd, digest) : nextEnd };
}

/**
 * The first digest after the instant. Each local day has one: at its time, or as long after it as the clock jumps where the
 * clock jumps over it, or the first time where the clock shows it twice. Throws RangeError for an invalid zone.
 */
export function nextDigest(after: Date, digest: DigestTime): Date {
  let day = dayBefore(after, digest.zone);
  for (;;) {
    const at = digestOn(day, digest);
    if (at > after) return at;
    day = day.add({ days: 1 });
  }
}

/** The last digest up to the instant, itself included. */
function latestDigest(upTo: Date, digest: DigestTime): Date {
  let day = dayBefore(upTo, digest.zone).add({ days: 2 });
  for (;;) {
    const at = digestOn(day, digest);
    if (at <= upTo) return at;
    day = day.subtract({ days: 1 });
  }
}

const dayBefore = (instant: Date, zone: string): Temporal.PlainDate =>
  zonedDateTime(instant.getTime(), zone).toPlainDate().subtract({ days: 1 });

const digestOn = (day: Temporal.PlainDate, { time, zone }: DigestTime): Date =>
  new Date(day.toZonedDateTime({ timeZone: zone, plainTime: time }).epochMilliseconds);
