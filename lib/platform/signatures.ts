import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { ConnectionSecret } from "./connection-secrets.ts";
import type { HttpRequest } from "./http.ts";

type Signed = Pick<HttpRequest, "headers" | "body">;

/** Whether the request is from the holder of one of the secret's keys. */
export type Verify = (request: Signed, secret: ConnectionSecret, now: Date) => boolean;

/** Calendly's own examples reject signatures that are older, or come from a clock further ahead. */
const CALENDLY_TOLERANCE_MS = 3 * 60_000;

/**
 * `Calendly-Webhook-Signature: t=<Unix time>,v1=<hex>`, HMAC-SHA256 over `<t>.<body>`.
 * Source: https://developer.calendly.com/api-docs/overview/webhooks/webhook-signatures
 */
export const verifyCalendly: Verify = ({ headers, body }, { signingKeys }, now) => {
  const fields = (headers["calendly-webhook-signature"] ?? "").split(",").map((field) => field.trim().split("="));
  const [time = ""] = fields.flatMap(([name, value = ""]) => (name === "t" ? [value] : []));
  if (!/^\d{1,12}$/.test(time)) return false;
  if (Math.abs(now.getTime() - Number(time) * 1_000) > CALENDLY_TOLERANCE_MS) return false;
  const given = fields.flatMap(([name, value = ""]) => (name === "v1" ? [value] : []));
  return signingKeys.some((key) => {
    const expected = createHmac("sha256", key).update(`${time}.`).update(body).digest("hex");
    return given.some((signature) => sameText(signature.toLowerCase(), expected));
  });
};

/**
 * `X-Cal-Signature-256: <hex>`, HMAC-SHA256 over the body. It has no time; event ids make a replay harmless.
 * Source: https://cal.com/docs/developing/guides/automation/webhooks
 */
export const verifyCalcom: Verify = ({ headers, body }, { signingKeys }) => {
  const given = (headers["x-cal-signature-256"] ?? "").trim().toLowerCase();
  return signingKeys.some((key) => sameText(given, createHmac("sha256", key).update(body).digest("hex")));
};

/**
 * `Authorization: Bearer <token>`, or the headers of Standard Webhooks, with a tolerance of five minutes.
 * Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export const verifyFacts: Verify = ({ headers, body }, { signingKeys, bearerTokens }) => {
  const token = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1];
  const hasToken = token !== undefined && bearerTokens.some((valid) => sameText(token, valid));
  return hasToken || signingKeys.some((key) => isSignedWith(key, body, headers));
};

function isSignedWith(key: string, body: Buffer, headers: Readonly<Record<string, string>>): boolean {
  try {
    new Webhook(key).verify(body, headers, { jsonParse: false });
    return true;
  } catch (thrown) {
    if (thrown instanceof WebhookVerificationError) return false;
    throw thrown;
  }
}

/** Compares digests of equal length, so that the time reveals nothing about the texts. */
const sameText = (one: string, other: string): boolean => timingSafeEqual(digest(one), digest(other));
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
