import * as z from "zod";

/** A one-click unsubscribe URL (RFC 8058). `{touchId}` identifies the touch. */
export const unsubscribeUrl = z
  .url({ protocol: /^https$/, error: "must be an https URL" })
  .refine((url) => url.includes("{touchId}"), "must contain {touchId}, which identifies the recipient");
