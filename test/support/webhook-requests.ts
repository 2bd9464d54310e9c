import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";

/** An event of an HTTP API, payload format 2.0, as far as the function reads it. */
export interface HttpApiEvent {
  readonly version: "2.0";
  readonly rawPath: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly requestContext: { readonly http: { readonly method: string; readonly path: string } };
  readonly body?: string;
  readonly isBase64Encoded: boolean;
}

interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly base64?: boolean;
}

export function aRequest(
  path: string,
  body: string | Buffer,
  { method = "POST", headers = {}, base64 = false }: RequestOptions = {},
): HttpApiEvent {
  return {
    version: "2.0",
    rawPath: path,
    headers: { "content-type": "application/json", host: "hooks.example.com", ...headers },
    requestContext: { http: { method, path } },
    body: Buffer.from(body).toString(base64 ? "base64" : "utf8"),
    isBase64Encoded: base64,
  };
}

const hmac = (key: string, text: string): string => createHmac("sha256", key).update(text).digest("hex");

/** Signs a body as each tool does. `at` is the sender's time; Cal.com sends none. */
export const SIGNERS = {
  calendly: (key: string, body: string, at: Date) => {
    const time = Math.floor(at.getTime() / 1_000);
    return { "Calendly-Webhook-Signature": `t=${time},v1=${hmac(key, `${time}.${body}`)}` };
  },
  calcom: (key: string, body: string) => ({ "X-Cal-Signature-256": hmac(key, body) }),
  facts: (key: string, body: string, at: Date) => ({
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(key).sign("msg_1", at, body),
  }),
} as const;

/** Two signing keys of each tool. */
export const KEYS = {
  calendly: ["calendly-key-1", "calendly-key-2"],
  calcom: ["calcom-key-1", "calcom-key-2"],
  facts: [7, 8].map((byte) => `whsec_${Buffer.alloc(24, byte).toString("base64")}`),
} as const;
