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
  /** The field Retry-After, as it came. */
  readonly retryAfter: string | undefined;
}

/** No answer came. Says how far the request had come, and nothing of what was sent. */
export class NoAnswer extends Error {
  /** The code of the fault, such as `econnrefused`, or `no_answer`. */
  readonly code: string;
  /** False where nothing of the request can have left. */
  readonly begun: boolean;
  constructor(thrown: unknown, begun: boolean) {
    const code = codeOf(thrown);
    super(code);
    this.code = code;
    this.begun = begun;
  }
}

/**
 * What the host answers to a JSON body. Follows no redirect, and reads nothing of the answer but its head. Throws
 * NotReachable where the network does not let it go there, and NoAnswer.
 */
export function post(url: URL, { headers, body }: PostRequest, network: Network, timeoutMs: number): Promise<Answer> {
  assertReachable(url, network);
  const secure = url.protocol === "https:";
  let begun = false;
  return new Promise((resolve, reject) => {
    const options = {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": String(Buffer.byteLength(body)),
        "user-agent": "Backstop",
        ...headers,
      },
      // A connection that was kept open would be one that nobody checked for this request.
      agent: false,
      lookup: guardedLookup(network),
      signal: AbortSignal.timeout(timeoutMs),
    } as const;
    (secure ? https : http)
      .request(url, options)
      .on("socket", (socket) => socket.once(secure ? "secureConnect" : "connect", () => (begun = true)))
      .on("response", (response) => {
        resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"] });
        response.destroy();
      })
      .on("error", (thrown) => reject(thrown instanceof NotReachable ? thrown : new NoAnswer(thrown, begun)))
      // An answer that is none, such as a change of protocol, ends the request without an error.
      .on("close", () => reject(new NoAnswer(undefined, begun)))
      .end(body);
  });
}

const faultSchema = z.looseObject({ code: z.string().regex(/^[A-Z_]{1,60}$/) });

/** Never the text of a fault, which may hold what was sent. */
function codeOf(thrown: unknown): string {
  const fault = faultSchema.safeParse(thrown);
  return fault.success && fault.data.code !== "ABORT_ERR" ? fault.data.code.toLowerCase() : "no_answer";
}
