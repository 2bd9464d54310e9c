import { createHmac, randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import type { ConnectionSecret, Tool } from "../../lib/platform/connection-secrets.ts";

type Headers = Readonly<Record<string, string>>;
type Keys = Pick<ConnectionSecret, "signingKeys" | "bearerTokens">;

/** The headers with which a tool signs a request now, or with which posted facts name their token. */
export const signedHeaders = (tool: Tool, keys: Keys, body: string): Headers => SIGN[tool](keys, body);

const SIGN: Readonly<Record<Tool, (keys: Keys, body: string) => Headers>> = {
  calendly({ signingKeys: [key = ""] }, body) {
    const time = Math.floor(Date.now() / 1_000);
    return { "calendly-webhook-signature": `t=${time},v1=${hmac(key, `${time}.${body}`)}` };
  },
  calcom: ({ signingKeys: [key = ""] }, body) => ({ "x-cal-signature-256": hmac(key, body) }),
  facts({ bearerTokens: [token], signingKeys: [key = ""] }, body) {
    if (token !== undefined) return { authorization: `Bearer ${token}` };
    const [id, now] = [randomUUID(), new Date()];
    const signature = new Webhook(key).sign(id, now, body);
    return {
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(now.getTime() / 1_000)),
      "webhook-signature": signature,
    };
  },
};

const hmac = (key: string, text: string): string => createHmac("sha256", key).update(text).digest("hex");
