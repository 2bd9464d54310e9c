import http from "node:http";
import https from "node:https";
import * as z from "zod";
import { assertReachable, guardedLookup, type Network, NotReachable } from "./network.ts";

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Answer {
  readonly status: number;
  /** The raw Retry-After field. */
  readonly retryAfter: string | undefined;
}

/** No response arrived. Never contains request content. */
export class NoAnswer extends Error {
  /** The error code, such as `econnrefused`, or `no_answer`. */
  readonly code: string;
  /** False if no part of the request can have been sent. */
  readonly connected: boolean;
  constructor(thrown: unknown, connected: boolean) {
    const code = codeOf(thrown);
    super(code);
    this.code = code;
    this.connected = connected;
  }
}

/**
 * Posts a JSON body. Follows no redirects and reads only the head of the response. Throws NotReachable if the network
 * forbids the target, and NoAnswer if no response arrives.
 */
export function post(url: URL, { headers, body }: PostRequest, network: Network, timeoutMs: number): Promise<Answer> {
  assertReachable(url, network);
  const secure = url.protocol === "https:";
  let connected = false;
  return new Promise((resolve, reject) => {
    const options = {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": String(Buffer.byteLength(body)),
        "user-agent": "Backstop",
        ...headers,
      },
      // A kept-alive connection would bypass the address check of this request.
      agent: false,
      lookup: guardedLookup(network),
      signal: AbortSignal.timeout(timeoutMs),
    } as const;
    (secure ? https : http)
      .request(url, options)
      .on("socket", (socket) => socket.once(secure ? "secureConnect" : "connect", () => (connected = true)))
      .on("response", (response) => {
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"] });
        response.destroy();
      })
      .on("error", (thrown) => reject(thrown instanceof NotReachable ? thrown : new NoAnswer(thrown, connected)))
      // A protocol upgrade, for example, closes the request without an error event.
      .on("close", () => reject(new NoAnswer(undefined, connected)))
      .end(body);
  });
}

const faultSchema = z.looseObject({ code: z.string().regex(/^[A-Z_]{1,60}$/) });

/** Only the code: the error text may contain request content. */
function codeOf(thrown: unknown): string {
  const fault = faultSchema.safeParse(thrown);
  return fault.success && fault.data.code !== "ABORT_ERR" ? fault.data.code.toLowerCase() : "no_answer";
}
