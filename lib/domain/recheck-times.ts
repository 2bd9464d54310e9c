const MINUTE_MS = 60_000;

export const minutesAfter = (instant: Date, minutes: number): Date => new Date(instant.getTime() + minutes * MINUTE_MS);

export const daysAfter = (instant: Date, days: number): Date => minutesAfter(instant, days * 24 * 60);

/** When a hold is looked at again whose end nobody can foresee. */
export const recheckSoon = (now: Date): Date => minutesAfter(now, 15);

/** When a row is looked at again that a person has to repair, or a pause that an event should end. */
export const repairBy = (now: Date): Date => daysAfter(now, 1);
