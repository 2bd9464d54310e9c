import * as z from "zod";

const EARLIEST = Date.parse("2000-01-01T00:00:00Z");
const LATEST = Date.parse("2200-01-01T00:00:00Z");

/**
 * An instant of an event, as a Date. ISO 8601 also allows year 0 and offsets of 23 hours, which PostgreSQL rejects; a
 * Date within these years always reaches it.
 */
export const instant = z.iso
  .datetime({ offset: true, error: "must be an instant, as in 2026-11-25T14:00:00Z", abort: true })
  .refine((text) => Date.parse(text) >= EARLIEST && Date.parse(text) < LATEST, {
    error: "must be between the years 2000 and 2200",
    abort: true,
  })
  .transform((text) => new Date(text));
