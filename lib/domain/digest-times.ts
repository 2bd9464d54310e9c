import type { Temporal } from "temporal-polyfill";
import { localDayOf } from "./calendar.ts";
import { zonedDateTime, zoneOrUtc } from "./time-zone.ts";

/** When a workspace receives its digest. */
export interface DigestTime {
  /** Such as `08:00`. */
  readonly time: string;
  readonly zone: string;
}

/** The result of closing a workspace's open window. */
export interface DigestWindow {
  /** The end of the window if it closed: the digest covers events before this instant. Null if it stays open. */
  readonly end: Date | null;
  /** The end of the window that is open now. */
  readonly nextEnd: Date;
}

/** The open window of a workspace, as stored. */
export interface OpenWindow extends DigestTime {
  /** Null until computed, and after the time or zone changes. */
  readonly end: Date | null;
  /** The end of the last window that contained events. */
  readonly lastTold: Date | null;
}

/**
 * Closes the window if its end has passed, and computes the next end. After an outage, one window spans all missed
 * days. A window without a stored end stays open; its new end is not on a local day that already had a digest.
 */
export function closeWindow({ end, lastTold, ...given }: OpenWindow, now: Date): DigestWindow {
  const digest = { ...given, zone: zoneOrUtc(given.zone) };
  const nextEnd = nextDigest(now, digest);
  if (end !== null) return { end: end <= now ? latestDigest(now, digest) : null, nextEnd };
  const toldThatDay = lastTold !== null && localDayOf(lastTold, digest.zone) === localDayOf(nextEnd, digest.zone);
  return { end: null, nextEnd: toldThatDay ? nextDigest(nextEnd, digest) : nextEnd };
}

/**
 * The first digest time after the instant. Each local day has one. If the clock skips the time, the digest moves by the
 * length of the jump. If the clock repeats the time, the first one counts. Throws RangeError for an invalid zone.
 */
export function nextDigest(after: Date, digest: DigestTime): Date {
  let day = dayBefore(after, digest.zone);
  for (;;) {
    const at = digestOn(day, digest);
    if (at > after) return at;
    day = day.add({ days: 1 });
  }
}

/** The last digest time at or before the instant. */
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
