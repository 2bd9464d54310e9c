import { digestSlackText } from "../domain/digest.ts";
import { retryAfterMs } from "../domain/retry-after.ts";
import type { DigestSender, SendOutcome } from "../run/channel-ports.ts";
import { type Network, NotReachable } from "./network.ts";
import { type Answer, NoAnswer, post } from "./post.ts";

/** Short: receivers respond at once, and a slow digest delays those of other workspaces. */
const ANSWER_TIMEOUT_MS = 5_000;

interface DigestWebhookOptions {
  readonly network: Network;
  readonly now: () => Date;
  readonly answerTimeoutMs?: number;
}

/**
 * Sends digests to Slack-compatible incoming webhooks. These receivers support no idempotency key, so a lost response
 * means `unknown`. The URL is a secret and never appears in an outcome or an error.
 */
export function digestWebhook({
  network,
  now,
  answerTimeoutMs = ANSWER_TIMEOUT_MS,
}: DigestWebhookOptions): DigestSender {
  return {
    async send({ id, contents }, to) {
      const url = URL.parse(to);
      if (url === null) return { kind: "refused", reason: "invalid_url" };
      const body = JSON.stringify(slackMessage(digestSlackText(contents)));
      try {
        const answer = await post(url, { headers: { "idempotency-key": id }, body }, network, answerTimeoutMs);
        return outcomeOf(answer, id, now());
      } catch (thrown) {
        return outcomeOfFault(thrown);
      }
    },
  };
}

function outcomeOfFault(thrown: unknown): SendOutcome {
  if (thrown instanceof NotReachable) return { kind: "refused", reason: thrown.code };
  if (!(thrown instanceof NoAnswer)) throw thrown;
  return { kind: thrown.connected ? "unknown" : "retry", reason: `webhook_${thrown.code}` };
}

/** Plain text: names cannot add formatting, and Slack fetches no link previews. */
const slackMessage = (text: string) => ({ text, mrkdwn: false, unfurl_links: false, unfurl_media: false });

/** Same transient statuses as the touch webhook. After a gateway error the receiver may still have the digest. */
const PASSING = new Set([408, 409, 423, 425, 429]);
const OF_A_GATEWAY = new Set([502, 504]);

function outcomeOf({ status, retryAfter }: Answer, id: string, now: Date): SendOutcome {
  if (status >= 200 && status < 300) return { kind: "accepted", providerId: `webhook:${id}` };
  const reason = `webhook_${status}`;
  if (OF_A_GATEWAY.has(status)) return { kind: "unknown", reason };
  if (!PASSING.has(status) && status < 500) return { kind: "refused", reason };
  return { kind: "retry", reason, throttled: { retryAfterMs: retryAfterMs(retryAfter, now) } };
}
