import * as z from "zod";

/** A one-click unsubscribe URL (RFC 8058). `{touchId}` identifies the touch. */
export const unsubscribeUrl = z
  .url({ protocol: /^https$/, error: "must be an https URL" })
  .refine((url) => url.includes("{touchId}"), "must contain {touchId}, which identifies the recipient");

/** A signing secret: `whsec_`, then 24 to 64 bytes in base64. Standard Webhooks specification, "Signature scheme". */
export const signingSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, "must be whsec_ and base64")
  .refine((secret) => {
    const { length } = Buffer.from(secret.slice("whsec_".length), "base64");
    return length >= 24 && length <= 64;
  }, "must contain 24 to 64 bytes");
