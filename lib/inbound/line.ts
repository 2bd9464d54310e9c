import * as z from "zod";

export const ONE_LINE = /^\P{Cc}*$/u;
export const NOT_ONE_LINE = "must not contain control characters";
export const NOT_WELL_FORMED = "must be well-formed Unicode";

/** Single-line text that is safe in the database and in mail headers. */
export const line = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(ONE_LINE, NOT_ONE_LINE)
    .refine((text) => text.isWellFormed(), NOT_WELL_FORMED);
