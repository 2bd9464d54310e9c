import { Webhook } from "standardwebhooks";
import type { MessageChannel, OutgoingTouch } from "../run/delivery-ports.ts";
import type { SendOutcome } from "../run/port-types.ts";
import { type Meaning, outcomeOfMeaning } from "./meaning.ts";
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
      if (secret === null) return outcomeOfMeaning(DOWN, "webhook_secret");
      try {
        const request = signed(touch, secret, endpoint.now());
        const answer = await post(new URL(endpoint.url), request, endpoint.network, answerTimeoutMs);
        return outcomeOf(answer, touch, endpoint.now());
      } catch (thrown) {
        return outcomeOfFault(thrown);
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

/** Nothing that a touch could change: no secret, no address, no connection. */
const DOWN: Meaning = { means: "down", scope: "channel" };

/** The receiver took the request and said nothing: that touch, if it answers others. */
const SILENT: Meaning = { means: "down", scope: "workspace", unless: "retry", lost: true };

function outcomeOfFault(thrown: unknown): SendOutcome {
  if (thrown instanceof NotReachable) return outcomeOfMeaning(DOWN, `webhook_${thrown.code}`);
  if (!(thrown instanceof NoAnswer)) return outcomeOfMeaning(SILENT, "webhook_no_answer");
  return outcomeOfMeaning(thrown.begun ? SILENT : DOWN, `webhook_${thrown.code}`);
}

/**
 * What a status says, after RFC 9110 section 15, RFC 6585 and the Standard Webhooks specification, "Delivery success and
 * failure": only 2xx is a success, a redirect is a failure, 410 asks for no more.
 */
const STATUSES: readonly (Meaning & { readonly status: RegExp })[] = [
  // The touch itself passes later: 9110 section 15.5.9, RFC 8470.
  { status: /^4(08|25)$/, means: "retry" },
  // About the URL, the method, the protocol or the signature, which are the same for every touch. A receiver that means one
  // touch all the same takes others, and is told apart by that.
  { status: /^4(01|03)$/, means: "down", scope: "workspace", unless: "retry" },
  { status: /^(3\d\d|4(02|04|05|07|10|15|21|26))$/, means: "down", scope: "workspace", unless: "refused" },
  // A gateway gave up: the receiver may have the touch.
  { status: /^50[24]$/, means: "down", scope: "workspace", unless: "retry", lost: true },
  // The receiver failed. If it takes other touches, it failed at this one.
  { status: /^5\d\d$/, means: "down", scope: "workspace", unless: "retry" },
];

/** Too many requests are 429 (RFC 6585 section 4), or 503 that says when it will be over (RFC 9110 section 15.6.4). */
function outcomeOf({ status, retryAfter }: Answer, touch: OutgoingTouch, now: Date): SendOutcome {
  if (status >= 200 && status < 300) return { kind: "accepted", providerId: `webhook:${touch.id}` };
  const reason = `webhook_${status}`;
  if (status === 429 || (status === 503 && retryAfter !== undefined)) {
    return outcomeOfMeaning({ means: "slow", waitMs: retryAfterMs(retryAfter, now) }, reason);
  }
  const meaning = STATUSES.find((row) => row.status.test(String(status)));
  return outcomeOfMeaning(meaning ?? { means: "refused" }, reason);
}
