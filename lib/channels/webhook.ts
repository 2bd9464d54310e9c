import { Webhook } from "standardwebhooks";
import * as z from "zod";
import { LEAD_KEYS, type LeadKey } from "../domain/lead-columns.ts";
import { retryAfterMs } from "../domain/retry-after.ts";
import type { MessageChannel, OutgoingTouch, SendOutcome } from "../run/channel-ports.ts";
import { type Meaning, outcomeOfMeaning } from "./meaning.ts";
import { type Network, NotReachable } from "./network.ts";
import { type Answer, NoAnswer, type PostRequest, post } from "./post.ts";
import { signingSecret } from "./settings.ts";

/** The Standard Webhooks specification, "Request timeouts", recommends 15 to 30 seconds. */
const ANSWER_TIMEOUT_MS = 15_000;

export interface WebhookEndpoint {
  readonly url: string;
  /** Returns the signing secret. A failure counts as transient. */
  readonly secret: () => Promise<string>;
  readonly network: Network;
  /** The current time, not the start of the run: receivers reject signatures that are minutes old. */
  readonly now: () => Date;
}

/**
 * Sends each touch as a signed POST (Standard Webhooks specification), for tools that deliver messages themselves. The
 * touch id is the `webhook-id`, the receiver's idempotency key. A request without a response is therefore retried.
 */
export function webhookChannel(endpoint: WebhookEndpoint, answerTimeoutMs = ANSWER_TIMEOUT_MS): MessageChannel {
  return {
    async send(touch) {
      const secret = await usableSecret(endpoint);
      if (secret === null) return outcomeOfMeaning(DOWN, "webhook_secret");
      const request = signed(touch, secret, endpoint.now());
      try {
        const answer = await post(new URL(endpoint.url), request, endpoint.network, answerTimeoutMs);
        return outcomeOf(answer, touch, endpoint.now());
      } catch (thrown) {
        return outcomeOfFault(thrown);
      }
    },
  };
}

/** Null if the secret is unavailable or invalid. The error is dropped because it may quote the secret. */
async function usableSecret(endpoint: WebhookEndpoint): Promise<string | null> {
  try {
    return signingSecret.parse(await endpoint.secret());
  } catch {
    return null;
  }
}

function signed(touch: OutgoingTouch, secret: string, now: Date): PostRequest {
  const { id } = touch;
  const body = JSON.stringify(payloadOf(touch, now));
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, now, body),
  };
  return { headers, body };
}

/** A fault that affects every touch: no secret, no address or no connection. */
const DOWN: Meaning = { means: "down", scope: "channel" };

/** The receiver did not respond. If it responds to other touches, the fault concerns only this one. */
const SILENT: Meaning = { means: "down", scope: "workspace", unless: "retry", lost: true };

function outcomeOfFault(thrown: unknown): SendOutcome {
  if (thrown instanceof NotReachable) return outcomeOfMeaning(DOWN, `webhook_${thrown.code}`);
  if (!(thrown instanceof NoAnswer)) return outcomeOfMeaning(SILENT, "webhook_no_answer");
  return outcomeOfMeaning(thrown.connected ? SILENT : DOWN, `webhook_${thrown.code}`);
}

/**
 * The meaning of each status: RFC 9110 section 15, RFC 6585, and Standard Webhooks specification, "Delivery success and
 * failure". Only 2xx is success, a redirect is a failure, and 410 asks the sender to stop.
 */
const STATUSES: readonly (Meaning & { readonly status: RegExp })[] = [
  // Transient for this touch: RFC 9110 section 15.5.9, RFC 4918 section 11.3, RFC 8470.
  { status: /^4(08|23|25)$/, means: "retry" },
  // An earlier attempt is still in progress: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
  { status: /^409$/, means: "retry", lost: true },
  // Concerns the URL, method, protocol or signature, which all touches share. If the receiver accepts other touches,
  // the fault concerns only this one.
  { status: /^4(01|03)$/, means: "down", scope: "workspace", unless: "retry" },
  { status: /^(3\d\d|4(02|04|05|07|10|15|21|26))$/, means: "down", scope: "workspace", unless: "refused" },
  // Gateway error: the receiver may have the touch.
  { status: /^50[24]$/, means: "down", scope: "workspace", unless: "retry", lost: true },
  // The receiver failed. If it accepts other touches, the fault concerns only this one.
  { status: /^5\d\d$/, means: "down", scope: "workspace", unless: "retry" },
];

/** Throttling is 429 (RFC 6585 section 4), or 503 with Retry-After (RFC 9110 section 15.6.4). */
function outcomeOf({ status, retryAfter }: Answer, touch: OutgoingTouch, now: Date): SendOutcome {
  if (status >= 200 && status < 300) return { kind: "accepted", providerId: `webhook:${touch.id}` };
  const reason = `webhook_${status}`;
  if (status === 429 || (status === 503 && retryAfter !== undefined)) {
    return outcomeOfMeaning({ means: "slow", waitMs: retryAfterMs(retryAfter, now) }, reason);
  }
  const meaning = STATUSES.find((row) => row.status.test(String(status)));
  return outcomeOfMeaning(meaning ?? { means: "refused" }, reason);
}

const leadMeanings: Readonly<Partial<Record<LeadKey, string>>> = {
  externalId: "The id under which your system enrolled the lead, such as its CRM record.",
  email: "As it was enrolled, so normally exactly one address.",
  phone: "As it was enrolled.",
  timeZone: "An IANA time zone.",
};

const leadText = (key: LeadKey) => {
  const text = z.string().nullable();
  const meaning = leadMeanings[key];
  return meaning === undefined ? text : text.describe(meaning);
};

/**
 * The body of a webhook, in the form of the Standard Webhooks specification ("Payload structure"). Generates the docs and
 * the published JSON Schema. Objects are open: later versions may add keys.
 */
export const webhookPayload = z.looseObject({
  type: z.literal("touch.due").describe("Ignore other types: later versions may add some."),
  timestamp: z.iso.datetime().describe("When this attempt was sent."),
  data: z.looseObject({
    touchId: z.guid().describe("The same on every attempt, as in the header `webhook-id`."),
    attempt: z
      .int()
      .min(1)
      .describe("The number of this attempt. One that a fault of the whole channel ended does not count."),
    workspaceId: z.guid(),
    workspaceName: z.string(),
    leadId: z.guid().describe("The id of the lead in Backstop. Facts about the lead may name it."),
    lead: z
      .looseObject({
        ...(Object.fromEntries(LEAD_KEYS.map((key) => [key, leadText(key)])) as Record<
          LeadKey,
          ReturnType<typeof leadText>
        >),
        fields: z.record(z.string(), z.string()).describe("The custom fields by name."),
      })
      .describe("The lead at the time of this attempt. A key is null if the value is unknown."),
    sequence: z.looseObject({ id: z.guid(), name: z.string() }),
    step: z.looseObject({
      key: z.string().describe("The name of the step in its sequence. It does not change when steps move."),
      position: z.int().min(1).describe("Counts from 1."),
    }),
    subject: z.string().nullable().describe("The rendered subject; null if the step has none."),
    body: z.string().describe("The rendered text."),
  }),
});

export type WebhookPayload = z.infer<typeof webhookPayload>;

/** Throws if the touch has no details, which is a bug. */
function payloadOf(touch: OutgoingTouch, now: Date): WebhookPayload {
  const { id: touchId, workspaceId, leadId, message, details } = touch;
  if (!details) throw new Error("a webhook touch has no details");
  const { attempt, workspaceName, lead, sequence, step } = details;
  const { subject, body } = message;
  const about = { touchId, attempt, workspaceId, workspaceName, leadId, lead, sequence, step };
  return { type: "touch.due", timestamp: now.toISOString(), data: { ...about, subject, body } };
}
