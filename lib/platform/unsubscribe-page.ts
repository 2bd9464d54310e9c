import { createHash } from "node:crypto";
import { readUnsubscribeToken, type TouchOfLink } from "../inbound/unsubscribe-token.ts";
import type { Log } from "../run/ports.ts";
import { redactError } from "../run/redact-error.ts";
import type { ReadUnsubscribeKeys } from "./unsubscribe-keys.ts";

export interface UnsubscribePorts {
  readonly keys: ReadUnsubscribeKeys;
  /** Reports that the receiver of the touch opted out. Throws unless the fact bus has accepted it. */
  readonly optOut: (touch: TouchOfLink, at: Date) => Promise<void>;
  readonly now: () => Date;
  readonly log: Log;
}

export interface PageAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Answers `/unsubscribe/<token>`. GET and HEAD show a page with a button and change nothing, because scanners follow the
 * links in mails. POST opts out, whatever its body (RFC 8058 section 3.1: no cookie, no redirect, no further step), and
 * answers 503 if that could not be reported, so that the caller tries again.
 */
export function unsubscribePage(ports: UnsubscribePorts): (method: string, token: string) => Promise<PageAnswer> {
  return async (method, token) => {
    const answer = await answerTo(method, token, ports);
    return method === "HEAD" ? { ...answer, body: "" } : answer;
  };
}

async function answerTo(method: string, token: string, ports: UnsubscribePorts): Promise<PageAnswer> {
  if (!METHODS.includes(method)) return page(405, NOT_A_METHOD, { allow: METHODS.join(", ") });
  try {
    const touch = await touchOf(token, ports);
    if (!touch) return page(404, BROKEN_LINK);
    if (method !== "POST") return page(200, QUESTION);
    await ports.optOut(touch, ports.now());
    return page(200, DONE);
  } catch (thrown) {
    ports.log.error("unsubscribe.failed", { method, error: redactError(thrown) });
    return page(503, method === "POST" ? NOT_DONE : NOT_NOW, { "retry-after": "60" });
  }
}

const METHODS: readonly string[] = ["GET", "HEAD", "POST"];

/** A key may be younger than the cached copy. Limited, so that forged tokens cause few calls to Secrets Manager. */
const FRESH_MS = 10_000;

async function touchOf(token: string, { keys, now }: UnsubscribePorts): Promise<TouchOfLink | undefined> {
  return readUnsubscribeToken(token, await keys(), now()) ?? readUnsubscribeToken(token, await keys(FRESH_MS), now());
}

interface Text {
  readonly title: string;
  readonly sentences: string;
  /** The label of the button, if there is one. */
  readonly button?: string;
}

const QUESTION: Text = {
  title: "Unsubscribe",
  sentences: "Press the button, and we will not send you any more messages.",
  button: "Unsubscribe",
};
const DONE: Text = {
  title: "You are unsubscribed",
  sentences: "We will not send you any more messages. One that is already on its way may still arrive.",
};
const NOT_DONE: Text = {
  title: "This did not work",
  sentences: "You are not unsubscribed yet. Please try again in a minute.",
  button: "Try again",
};
const NOT_NOW: Text = {
  title: "This page does not work right now",
  sentences: "Please open the link again in a minute.",
};
const BROKEN_LINK: Text = {
  title: "This link does not work",
  sentences:
    "A part of it may be missing. Open the link in the message again, or answer the message and ask us to stop.",
};
const NOT_A_METHOD: Text = { title: "This is not possible here", sentences: "Open the link in a browser." };

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

/** Contains nothing of the request. A form without an action posts to the address of the page. */
function page(status: number, { title, sentences, button }: Text, more: Readonly<Record<string, string>> = {}) {
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
  return { status, headers: { ...HEADERS, ...more }, body };
}
