import { createHash } from "node:crypto";
import { optOutByLink, readUnsubscribeToken, type TouchOfLink } from "../inbound/unsubscribe-link.ts";
import type { HttpAnswer } from "./http.ts";
import type { Handled, Route, WebhookPorts } from "./route.ts";
import { Unavailable } from "./unavailable.ts";

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
    if (!touch) return { outcome: "unknown", answer: unsubscribePage(404, TEXTS.brokenLink) };
    const { workspaceId } = touch;
    if (method !== "POST") {
      return { outcome: "ignored", workspaceId, answer: unsubscribePage(200, TEXTS.question) };
    }
    await ports.bus.put([optOutByLink(touch, ports.now())]);
    return { outcome: "accepted", workspaceId, accepted: 1, answer: unsubscribePage(200, TEXTS.done) };
  } catch (thrown) {
    if (!(thrown instanceof Unavailable)) throw thrown;
    const text = method === "POST" ? TEXTS.notDone : TEXTS.notNow;
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

interface Text {
  readonly title: string;
  readonly sentences: string;
  /** The label of the button, if there is one. */
  readonly button?: string;
}

/** The texts of the pages behind an unsubscribe link. */
const TEXTS = {
  question: {
    title: "Unsubscribe",
    sentences: "Press the button, and we will not send you any more messages.",
    button: "Unsubscribe",
  },
  done: {
    title: "You are unsubscribed",
    sentences: "We will not send you any more messages. One that is already on its way may still arrive.",
  },
  notDone: {
    title: "This did not work",
    sentences: "You are not unsubscribed yet. Please try again in a minute.",
    button: "Try again",
  },
  notNow: {
    title: "This page does not work right now",
    sentences: "Please open the link again in a minute.",
  },
  brokenLink: {
    title: "This link does not work",
    sentences:
      "A part of it may be missing. Open the link in the message again, or answer the message and ask us to stop.",
  },
} as const satisfies Readonly<Record<string, Text>>;

const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --back: #ffffff; --button: #0550ae; --label: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --back: #0d1117; --button: #79c0ff; --label: #0d1117; }
}
body { margin: 0; font: 1.125rem/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); }
main { max-width: 32rem; margin: 10vh auto 0; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; }
button { font: inherit; min-height: 2.75rem; padding: 0.5rem 1.25rem; border: 2px solid var(--button);
  border-radius: 0.375rem; color: var(--label); background: var(--button); cursor: pointer; }
button:focus-visible { outline: 3px solid var(--text); outline-offset: 2px; }
`;

/** No script, no frame, nothing from elsewhere; the form goes to the page's own address. */
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-robots-tag": "noindex, nofollow",
};

/**
 * A small, complete page. Contains no value of the request. A form without an action posts to the address of the page.
 */
function unsubscribePage(
  statusCode: number,
  { title, sentences, button }: Text,
  more: Readonly<Record<string, string>> = {},
): HttpAnswer {
  const form = button === undefined ? "" : `<form method="post"><button type="submit">${button}</button></form>\n`;
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${sentences}</p>
${form}</main>
</body>
</html>
`;
  return { statusCode, headers: { ...HEADERS, ...more }, body };
}
