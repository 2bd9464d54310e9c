export const MINUTE_MS = 60_000;
export const DAY_MS = 24 * 60 * MINUTE_MS;

export const minutesAfter = (instant: Date, minutes: number): Date => new Date(instant.getTime() + minutes * MINUTE_MS);

export const daysAfter = (instant: Date, days: number): Date => minutesAfter(instant, days * 24 * 60);

/** When to recheck a hold whose end is unknown. */
export const recheckSoon = (now: Date): Date => minutesAfter(now, 15);

/** When to recheck a row that a person must repair, or a pause that an event should end. */
export const repairBy = (now: Date): Date => daysAfter(now, 1);
