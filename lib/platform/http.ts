import * as z from "zod";

/** An event of an HTTP API, payload format 2.0. */
const httpApiEvent = z.object({
  rawPath: z.string(),
  headers: z.record(z.string(), z.string()).default({}),
  requestContext: z.object({ http: z.object({ method: z.string() }) }),
  body: z.string().default(""),
  isBase64Encoded: z.boolean().default(false),
});

/** A request, independent of who received it. */
export interface HttpRequest {
  readonly method: string;
  /** The parts of the path: `/calendly/<workspace>` has two. */
  readonly path: readonly string[];
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes as sent: signatures are over them. */
  readonly body: Buffer;
}

/** An answer in the form that an HTTP API expects. */
export interface HttpAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Throws a ZodError if the event is not one of an HTTP API. */
export function requestOf(event: unknown): HttpRequest {
  const { rawPath, headers, requestContext, body, isBase64Encoded } = httpApiEvent.parse(event);
  return {
    method: requestContext.http.method.toUpperCase(),
    path: rawPath.split("/").filter((part) => part !== ""),
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    body: Buffer.from(body, isBase64Encoded ? "base64" : "utf8"),
  };
}

/** An answer in JSON. No cache may keep it. */
export const jsonAnswer = (
  statusCode: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer => ({
  statusCode,
  headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  body: `${JSON.stringify(body)}\n`,
});
