import { nextOpening, type Opening, type SendCalendar } from "./calendar.ts";
import { DAY_MS, HOUR_MS, laterInZone, MINUTE_MS } from "./time-zone.ts";
import type { WrittenStep } from "./written-sequence.ts";

const YEAR_MS = 366 * DAY_MS;

/** The send times of a workspace in the year after an instant. */
export class SendYear {
  readonly openings: readonly Opening[];
  /** The longest time without sending, in milliseconds. */
  readonly longestClosed: number;
  readonly #zone: string;

  /** Throws RangeError for an invalid zone, window or holiday place. */
  constructor(calendar: SendCalendar, from: Date) {
    this.openings = openingsOf(calendar, from);
    this.longestClosed = Math.max(
      0,
      ...this.openings.slice(1).map((opening, index) => +opening.from - +(this.openings[index]?.until ?? opening.from)),
    );
    this.#zone = calendar.zone;
  }

  /** The share of the due times of a step at which it expires before it may be sent, from 0 to 1. */
  expiringShare({ delayMinutes, timeToLiveMinutes }: WrittenStep, isFirst: boolean): number {
    const timeToLive = (timeToLiveMinutes ?? Number.POSITIVE_INFINITY) * MINUTE_MS;
    if (timeToLive > this.longestClosed) return 0;
    // The first step follows an enrolment at any hour, the others a message inside the send window.
    const dues = isFirst
      ? this.#anyTime()
      : this.#sentTimes().map((sent) => +laterInZone(sent, delayMinutes, this.#zone));
    const waits = dues.flatMap((due) => this.#waitFrom(due) ?? []);
    return waits.length === 0 ? 0 : waits.filter((wait) => wait > 0 && wait >= timeToLive).length / waits.length;
  }

  #anyTime(): readonly number[] {
    const start = +(this.openings[0]?.from ?? 0);
    const end = +(this.openings.at(-1)?.from ?? 0);
    return Array.from({ length: Math.ceil((end - start) / HOUR_MS) }, (_, hour) => start + hour * HOUR_MS);
  }

  /** Every hour of each opening, and its last minute. */
  #sentTimes(): readonly Date[] {
    return this.openings.flatMap(({ from, until }) => {
      const hours = Math.ceil((+until - +from) / HOUR_MS);
      const hourly = Array.from({ length: hours }, (_, hour) => new Date(+from + hour * HOUR_MS));
      return [...hourly, new Date(Math.max(+from, +until - MINUTE_MS))];
    });
  }

  /** Milliseconds from the instant to the next opening; 0 inside one, undefined after the last. */
  #waitFrom(instant: number): number | undefined {
    let [low, high] = [0, this.openings.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (+(this.openings[middle]?.until ?? 0) > instant) high = middle;
      else low = middle + 1;
    }
    const opening = this.openings[low];
    return opening && Math.max(0, +opening.from - instant);
  }
}

/** Openings that follow each other directly are one. */
function openingsOf(calendar: SendCalendar, from: Date): readonly Opening[] {
  const openings: Opening[] = [];
  let next = nextOpening(from, calendar);
  while (next && +next.from < +from + YEAR_MS) {
    const last = openings.at(-1);
    if (last && +last.until === +next.from) openings[openings.length - 1] = { from: last.from, until: next.until };
    else openings.push(next);
    next = nextOpening(next.until, calendar);
  }
  return openings;
}
