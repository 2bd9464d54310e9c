import * as z from "zod";

/** A header line has at most 998 characters, and a URL cannot be folded: RFC 5322 section 2.1.1. */
const LONGEST_UNSUBSCRIBE_URL = 900;
const TOUCH_ID = "00000000-0000-0000-0000-000000000000";

/** A one-click unsubscribe URL (RFC 8058). `{touchId}` identifies the touch. */
export const unsubscribeUrl = z
  .url({ protocol: /^https$/, error: "must be an https URL" })
  .refine((url) => url.includes("{touchId}"), "must contain {touchId}, which identifies the recipient")
  .refine(
    (url) => url.replaceAll("{touchId}", TOUCH_ID).length <= LONGEST_UNSUBSCRIBE_URL,
    `must be at most ${LONGEST_UNSUBSCRIBE_URL} characters with the touch id, to fit in a header line`,
  );

const ON_THIS_MACHINE = /^(localhost|127\.0\.0\.1|\[::1\])$/;

/** Where the page of unsubscribe links is, without a slash at the end. http only on this machine. */
export const unsubscribeBaseUrl = z
  .url({ protocol: /^https?$/, error: "must be an https URL", abort: true })
  .refine((text) => {
    const { protocol, hostname } = new URL(text);
    return protocol === "https:" || ON_THIS_MACHINE.test(hostname);
  }, "must be an https URL")
  .refine((text) => !/[?#@]/.test(text), "must have no query, fragment or password")
  .max(LONGEST_UNSUBSCRIBE_URL / 2)
  .transform((text) => text.replace(/\/+$/, ""));

/** A signing secret: `whsec_`, then 24 to 64 bytes in base64. Standard Webhooks specification, "Signature scheme". */
export const signingSecret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, "must be whsec_ and base64")
  .refine((secret) => {
    const { length } = Buffer.from(secret.slice("whsec_".length), "base64");
    return length >= 24 && length <= 64;
  }, "must contain 24 to 64 bytes");

/** The address of an SMTP server. User and password are percent-encoded: `smtps://user:p%40ss@mail.example.com:465`. */
export const smtpUrl = z
  .url({ protocol: /^smtps?$/, hostname: /./, error: "must look like smtps://user:password@host:465" })
  .refine(isPercentEncoded, "must have user and password percent-encoded: %25 stands for %");

function isPercentEncoded(url: string): boolean {
  const { username = "", password = "" } = URL.parse(url) ?? {};
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}
