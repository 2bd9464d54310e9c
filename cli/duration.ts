import * as z from "zod";

const MINUTES = { week: 7 * 24 * 60, day: 24 * 60, hour: 60, minute: 1 };
type Unit = keyof typeof MINUTES;

const PATTERN = /^(\d{1,9}) (minute|hour|day|week)s?$/;

/** Parses a duration such as `3 days`. Returns minutes. */
export const duration = z
  .string()
  .regex(PATTERN, 'must be a duration such as "90 minutes", "4 hours", "3 days" or "2 weeks"')
  .transform((text) => {
    const [, count, unit] = PATTERN.exec(text) ?? [];
    return Number(count) * MINUTES[unit as Unit];
  });

/** Formats minutes in the largest unit that gives a whole number. */
export function formatDuration(minutes: number): string {
  const units = Object.entries(MINUTES);
  const [unit, size] = units.find(([, of]) => minutes !== 0 && minutes % of === 0) ?? ["minute", 1];
  const count = minutes / size;
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
