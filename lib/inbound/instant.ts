import * as z from "zod";
import { EARLIEST, LATEST } from "../domain/time-zone.ts";

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
