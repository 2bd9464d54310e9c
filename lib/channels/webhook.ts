import { Webhook } from "standardwebhooks";
import type { MessageChannel, OutgoingTouch } from "../run/delivery-ports.ts";
import type { SendOutcome } from "../run/port-types.ts";
import { type Network, NotReachable } from "./network.ts";
import { type Answer, NoAnswer, type PostRequest, post } from "./post.ts";
import { retryAfterMs } from "./retry-after.ts";
import { signingSecret } from "./signing-secret.ts";

/** After the Standard Webhooks specification, section "Request timeouts": 15 to 30 seconds. */
const ANSWER_TIMEOUT_MS = 15_000;

export interface WebhookEndpoint {
  readonly url: string;
  /** The signing secret; a fault in getting it is one that passes. */
  readonly secret: () => Promise<string>;
  readonly network: Network;
  /** The receiver refuses signatures that are minutes old, so this is the clock of the moment and not that of the run. */
  readonly now: () => Date;
}

/**
 * A signed POST after the Standard Webhooks specification, one a touch, for tools that deliver themselves. The touch is
 * the `webhook-id`, by which the receiver acts once however often it comes: whatever is not answered is tried again.
 */
export function webhookChannel(endpoint: WebhookEndpoint, answerTimeoutMs = ANSWER_TIMEOUT_MS): MessageChannel {
  return {
    async send(touch) {
      const secret = await usableSecret(endpoint);
      if (secret === null) return { kind: "retry", reason: "webhook_secret" };
      try {
        const request = signed(touch, secret, endpoint.now());
        const answer = await post(new URL(endpoint.url), request, endpoint.network, answerTimeoutMs);
        return outcomeOf(answer, touch, endpoint.now());
      } catch (thrown) {
        if (thrown instanceof NotReachable) return { kind: "refused", reason: thrown.code };
        return { kind: "retry", reason: `webhook_${thrown instanceof NoAnswer ? thrown.code : "no_answer"}` };
      }
    },
  };
}

/** Null where it cannot be had or is none; a fault may quote it, so that it is told to nobody. */
async function usableSecret(endpoint: WebhookEndpoint): Promise<string | null> {
  try {
    return signingSecret.parse(await endpoint.secret());
  } catch {
    return null;
  }
}

function signed(touch: OutgoingTouch, secret: string, now: Date): PostRequest {
  const { id, workspaceId, leadId, message } = touch;
  const data = { touchId: id, workspaceId, leadId, subject: message.subject, body: message.body };
  const body = JSON.stringify({ type: "touch.due", timestamp: now.toISOString(), data });
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, now, body),
  };
  return { headers, body };
}

/**
 * Statuses after which a later attempt may succeed: RFC 9110 section 15.5.9, RFC 8470; and 401 and 403, by which a receiver
 * refuses the signature of a secret that is being rotated.
 */
const PASSING = new Set([401, 403, 408, 425]);

/**
 * The Standard Webhooks specification, section "Delivery success and failure": only 2xx is a success; a redirect is a
 * failure; 410 asks for no more. Too many requests are 429 (RFC 6585 section 4), or 503 that says when it will be over
 * (RFC 9110 section 15.6.4).
 */
function outcomeOf({ status, retryAfter }: Answer, touch: OutgoingTouch, now: Date): SendOutcome {
  if (status >= 200 && status < 300) return { kind: "accepted", providerId: `webhook:${touch.id}` };
  const reason = `webhook_${status}`;
  if (status === 429 || (status === 503 && retryAfter !== undefined)) {
    return { kind: "retry", reason, throttled: { retryAfterMs: retryAfterMs(retryAfter, now) } };
  }
  const passing = PASSING.has(status) || status >= 500;
  return { kind: passing ? "retry" : "refused", reason };
}
