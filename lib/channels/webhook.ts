import { Webhook } from "standardwebhooks";
import { retryAfterMs } from "../domain/retry-after.ts";
import type { MessageChannel, OutgoingTouch, SendOutcome } from "../run/channel-ports.ts";
import { type Meaning, outcomeOfMeaning } from "./meaning.ts";
import { type Network, NotReachable } from "./network.ts";
import { type Answer, NoAnswer, type PostRequest, post } from "./post.ts";
import { signingSecret } from "./settings.ts";
import { payloadOf } from "./webhook-payload.ts";

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
