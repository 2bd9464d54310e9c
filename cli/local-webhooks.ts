import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { FactBus } from "../lib/platform/fact-bus.ts";
import type { HttpAnswer } from "../lib/platform/http.ts";
import type { WebhookPorts } from "../lib/platform/route.ts";
import { Unavailable } from "../lib/platform/unavailable.ts";
import { answerRequest, LARGEST_BODY_BYTES } from "../lib/platform/webhook-routes.ts";
import { applyEvent, type EventOutcome } from "../lib/run/apply-messages.ts";
import type { Log } from "../lib/run/ports.ts";
import type { Database } from "../lib/store/connect.ts";
import { intakeStore } from "../lib/store/facts/apply-fact.ts";
import { closeAtOnce, listenOnLoopback } from "./loopback.ts";

export interface LocalWebhooks {
  /** Without a path, as in `http://127.0.0.1:4100`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves the routes of the webhooks function on the loopback address, with the function's own code. Throws a Problem if
 * the port is in use.
 */
export async function startLocalWebhooks(
  ports: WebhookPorts & { readonly log: Log },
  wantedPort: number,
): Promise<LocalWebhooks> {
  const server = createServer((request, response) => {
    answer(request, response, ports).catch((thrown: unknown) => {
      process.stderr.write(`backstop: a request failed: ${thrown instanceof Error ? thrown.stack : thrown}\n`);
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    });
  });
  const port = await listenOnLoopback(server, wantedPort);
  return { url: `http://127.0.0.1:${port}`, close: () => closeAtOnce(server) };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  ports: WebhookPorts & { readonly log: Log },
): Promise<void> {
  const { answer: given } = await answerRequest(eventOf(request, await bodyOf(request)), ports);
  send(response, given);
}

/** The event that an HTTP API makes of a request, payload format 2.0. */
function eventOf({ method = "GET", url = "/", headers }: IncomingMessage, body: Buffer) {
  const { pathname, search } = new URL(url, "http://127.0.0.1");
  const joined = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value]);
  return {
    version: "2.0",
    rawPath: pathname,
    rawQueryString: search.slice(1),
    headers: Object.fromEntries(joined),
    requestContext: { http: { method, path: pathname } },
    body: body.toString("base64"),
    isBase64Encoded: true,
  };
}

/** Keeps one byte more than is allowed, so that a larger body is refused. */
async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    // Read to the end also then: a connection that is cut off shows no answer.
    if (bytes <= LARGEST_BODY_BYTES) parts.push(part);
    bytes += part.length;
  }
  return Buffer.concat(parts).subarray(0, LARGEST_BODY_BYTES + 1);
}

const send = (response: ServerResponse, { statusCode, headers, body }: HttpAnswer): void =>
  void response.writeHead(statusCode, headers).end(body);

/** Applies facts to a database as the intake does, instead of putting them on a bus. `show` gets each outcome. */
export function intakeBus(
  database: Pick<Database, "pool">,
  show: (type: string, outcome: EventOutcome) => void,
): FactBus {
  const store = intakeStore(database);
  return {
    async put(facts) {
      for (const { type, detail } of facts) {
        const event = JSON.stringify({ source: "backstop.webhooks", "detail-type": type, detail });
        const outcomes = await applyEvent(event, store).catch((cause: Error) => {
          throw new Unavailable(`the database did not apply the fact: ${cause.message}`, { cause });
        });
        for (const outcome of outcomes) show(type, outcome);
      }
    },
  };
}
