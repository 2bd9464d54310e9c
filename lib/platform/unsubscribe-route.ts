import { optOutByLink } from "../inbound/unsubscribe-fact.ts";
import { readUnsubscribeToken, type TouchOfLink } from "../inbound/unsubscribe-token.ts";
import type { Handled, Route, WebhookPorts } from "./route.ts";
import { Unavailable } from "./unavailable.ts";
import { UNSUBSCRIBE_TEXTS, unsubscribePage } from "./unsubscribe-page.ts";

/**
 * The link in a message; its argument is a token. GET and HEAD show a page with a button and change nothing, because
 * scanners follow links. POST opts out with any body (RFC 8058 sections 3.1 and 3.2: no cookie, no redirect, no
 * further step). The answers are pages, because people read them.
 */
export const UNSUBSCRIBE: Route = {
  methods: ["GET", "HEAD", "POST"],
  async handle({ method }, token, ports) {
    const handled = await answerTo(method, token, ports);
    return method === "HEAD" ? { ...handled, answer: { ...handled.answer, body: "" } } : handled;
  },
};

async function answerTo(method: string, token: string, ports: WebhookPorts): Promise<Handled> {
  try {
    const touch = await touchOf(token, ports);
    if (!touch) return { outcome: "unknown", answer: unsubscribePage(404, UNSUBSCRIBE_TEXTS.brokenLink) };
    const { workspaceId } = touch;
    if (method !== "POST") {
      return { outcome: "ignored", workspaceId, answer: unsubscribePage(200, UNSUBSCRIBE_TEXTS.question) };
    }
    await ports.bus.put([optOutByLink(touch, ports.now())]);
    return { outcome: "accepted", workspaceId, accepted: 1, answer: unsubscribePage(200, UNSUBSCRIBE_TEXTS.done) };
  } catch (thrown) {
    if (!(thrown instanceof Unavailable)) throw thrown;
    const text = method === "POST" ? UNSUBSCRIBE_TEXTS.notDone : UNSUBSCRIBE_TEXTS.notNow;
    const answer = unsubscribePage(503, text, { "retry-after": "60" });
    return { outcome: "unavailable", reason: thrown.message, answer };
  }
}

/** A key may be younger than the cached copy. Limited, so that forged tokens cause few calls to Secrets Manager. */
const FRESH_MS = 10_000;

async function touchOf(token: string, { unsubscribeKeys: keys, now }: WebhookPorts): Promise<TouchOfLink | undefined> {
  if (!keys) return undefined;
  return readUnsubscribeToken(token, await keys(), now()) ?? readUnsubscribeToken(token, await keys(FRESH_MS), now());
}
