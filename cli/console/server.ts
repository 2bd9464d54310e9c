import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { RecentForecast } from "../forecast-pages.ts";
import { closeAtOnce, listenOnLoopback } from "../loopback.ts";
import type { Operator } from "../operator.ts";
import type { HtmlPage, Session, Visit } from "./page.ts";
import { FORECAST_DAYS, isForm, pageFor, STYLE } from "./pages.ts";

/** A running console. */
export interface Console {
  /** With a token that opens one session. */
  readonly url: string;
  close(): Promise<void>;
}

/** Only our own style sheet and forms; no script, no frame, nothing from elsewhere. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "cross-origin-resource-policy": "same-origin",
  // With no-referrer, the browser would send our own forms with the origin "null".
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

const COOKIE = "backstop_console";

/**
 * Serves the console on the loopback address. Answers only requests to its own host name (DNS rebinding), and only with
 * the session cookie, which the token in the URL gives once. Takes a form only from its own origin.
 */
export async function startConsole(operator: Operator, port: number): Promise<Console> {
  const access = new Access();
  const session: Session = { by: "", notice: "", forecast: new RecentForecast(FORECAST_DAYS) };
  const server = createServer((request, response) => {
    // Fails only if the browser closed the connection.
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? "/", "http://console");
    if (!url) return send(response, 400, "text/plain", "this is not an address");
    const refusal = access.refusalOf(request, url.pathname, server.address() as AddressInfo);
    if (refusal) send(response, refusal.status, "text/plain", refusal.text);
    else if (url.pathname === "/style.css") send(response, 200, "text/css", STYLE);
    else if (access.redeem(url.searchParams.get("token"))) access.signIn(response);
    else if (!access.isSignedIn(request)) send(response, 401, "text/plain", access.advice);
    else await answerVisit(request, url, response);
  }

  async function answerVisit(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    const fields = request.method === "POST" ? await formOf(request) : url.searchParams;
    if (fields) show(response, await safePage({ operator, session, path: url.pathname, fields }));
    else send(response, 413, "text/plain", "the form is too large");
  }

  const opened = await listenOnLoopback(server, port);
  return { url: `http://127.0.0.1:${opened}/?token=${access.token}`, close: () => closeAtOnce(server) };
}

/** Only the browser that opened the printed address first may look and decide. */
class Access {
  readonly token = randomBytes(32).toString("hex");
  readonly advice = "open the address that the command printed; it works once";
  readonly #session = randomBytes(32).toString("hex");
  #isRedeemed = false;

  refusalOf({ headers, method }: IncomingMessage, path: string, { port }: AddressInfo) {
    if (![`127.0.0.1:${port}`, `localhost:${port}`].includes(headers.host ?? "")) {
      return { status: 421, text: "unknown host" };
    }
    if (method === "GET") return undefined;
    if (method !== "POST" || !isForm(path)) return { status: 405, text: "this address only reads" };
    // A page on another port shares the cookie, but not the origin.
    return headers.origin === `http://${headers.host}`
      ? undefined
      : { status: 403, text: "another site sent this form" };
  }

  /** Whether this is the token, for the first time. */
  redeem(given: string | null): boolean {
    if (this.#isRedeemed || given === null || !isSame(given, this.token)) return false;
    this.#isRedeemed = true;
    return true;
  }

  signIn(response: ServerResponse): void {
    const cookie = `${COOKIE}=${this.#session}; HttpOnly; SameSite=Strict; Path=/`;
    response.writeHead(303, { ...HEADERS, location: "/", "set-cookie": cookie }).end();
  }

  isSignedIn({ headers }: IncomingMessage): boolean {
    const cookies = (headers.cookie ?? "").split("; ");
    return cookies.some((cookie) => isSame(cookie, `${COOKIE}=${this.#session}`));
  }
}

/** An error is a page without details. */
async function safePage(visit: Visit): Promise<HtmlPage> {
  try {
    return await pageFor(visit);
  } catch (thrown) {
    process.stderr.write(
      `backstop: the page ${visit.path} failed: ${thrown instanceof Error ? thrown.stack : thrown}\n`,
    );
    return { status: 500, html: "<!doctype html><title>Error</title><p>The page failed. The terminal shows why." };
  }
}

const MOST_FORM_BYTES = 16_384;

/** The fields of a form; undefined if it is too large. */
async function formOf(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    // Reads a form that is too large to its end: on a closed connection, the browser shows no answer.
    if (bytes <= MOST_FORM_BYTES) parts.push(part);
  }
  if (bytes > MOST_FORM_BYTES) return undefined;
  return new URLSearchParams(Buffer.concat(parts).toString("utf8"));
}

function show(response: ServerResponse, page: HtmlPage): void {
  if ("location" in page) response.writeHead(page.status, { ...HEADERS, location: page.location }).end();
  else send(response, page.status, "text/html; charset=utf-8", page.html);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { ...HEADERS, "content-type": type }).end(body);
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
