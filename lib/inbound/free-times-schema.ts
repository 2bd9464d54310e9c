import * as z from "zod";
import { instant } from "./instant.ts";

/** About two weeks of half hours. An event with as many stays far below its largest size. */
export const MOST_FREE_TIMES = 500;
const freeTime = z
  .strictObject({ startsAt: instant, endsAt: instant })
  .refine(({ startsAt, endsAt }) => endsAt > startsAt, { path: ["endsAt"], error: "must be after startsAt" });
export const freeTimes = z.array(freeTime).max(MOST_FREE_TIMES);

export const LONGEST_BOOKING_URL = 500;
/** In plain characters, as it stands in messages. */
export const bookingUrl = z
  .string()
  .max(LONGEST_BOOKING_URL)
  .regex(/^https:\/\/[!-~]+$/, "must be a URL that starts with https://, in ASCII")
  .refine((text) => URL.canParse(text), "must be a URL");
