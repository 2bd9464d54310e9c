import * as z from "zod";

/** Where a POST unsubscribes with one click (RFC 8058). It has to tell touches apart. */
export const unsubscribeUrl = z
  .url({ protocol: /^https$/, error: "must be an https URL" })
  .refine((url) => url.includes("{touchId}"), "must hold {touchId}, by which it is known who unsubscribes");
