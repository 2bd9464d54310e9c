import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Operator } from "../operator.ts";
import { Problem } from "../problem.ts";
import { type Page, pageFor, STYLE } from "./pages.ts";

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
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

const COOKIE = "backstop_console";

/**
 * Serves the console on the loopback address. Answers only requests to its own host name (DNS rebinding), and only with
 * the session cookie, which the token in the URL gives once.
 */
export async function startConsole(operator: Operator, port: number): Promise<Console> {
  const access = new Access();
  const server = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://console");
    const refusal = access.refusalOf(request, server.address() as AddressInfo);
    if (refusal) send(response, refusal.status, "text/plain", refusal.text);
    else if (url.pathname === "/style.css") send(response, 200, "text/css", STYLE);
    else if (access.redeem(url.searchParams.get("token"))) access.signIn(response);
    else if (!access.isSignedIn(request)) send(response, 401, "text/plain", access.advice);
    else {
      const { status, html } = await safePage(operator, url);
      send(response, status, "text/html; charset=utf-8", html);
    }
  }

  await listen(server, port);
  const { port: opened } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${opened}/?token=${access.token}`,
    close: () =>
      new Promise((closed) => {
        server.closeAllConnections();
        server.close(() => closed());
      }),
  };
}

/** Who may look: one browser, which opened the printed address first. */
class Access {
  readonly token = randomBytes(32).toString("hex");
  readonly advice = "open the address that the command printed; it works once";
  readonly #session = randomBytes(32).toString("hex");
  #isRedeemed = false;

  refusalOf({ headers, method }: IncomingMessage, { port }: AddressInfo) {
    if (![`127.0.0.1:${port}`, `localhost:${port}`].includes(headers.host ?? "")) {
      return { status: 421, text: "unknown host" };
    }
    return method === "GET" ? undefined : { status: 405, text: "the console only reads" };
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

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((listening, failed) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      failed(
        error.code === "EADDRINUSE" ? new Problem(`port ${port} is in use: choose another with --port, or 0`) : error,
      ),
    );
    server.listen(port, "127.0.0.1", listening);
  });
}

/** A refusal, such as an unknown lead, is a page; an error is one without details. */
async function safePage(operator: Operator, url: URL): Promise<Page> {
  try {
    return await pageFor(operator, url);
  } catch (thrown) {
    if (thrown instanceof Problem)
      return await pageFor(operator, new URL(`/problem?${new URLSearchParams({ text: thrown.message })}`, url));
    process.stderr.write(
      `backstop: the page ${url.pathname} failed: ${thrown instanceof Error ? thrown.stack : thrown}\n`,
    );
    return { status: 500, html: "<!doctype html><title>Error</title><p>The page failed. The terminal shows why." };
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { ...HEADERS, "content-type": type }).end(body);
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
