import { ANY_NETWORK } from "../../lib/channels/network.ts";
import type { WebhookEndpoint } from "../../lib/channels/webhook.ts";

export const SECRET = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;

/** A local receiver, which PUBLIC_NETWORK would not allow. */
export const endpointAt = (port: number, over: Partial<WebhookEndpoint> = {}): WebhookEndpoint => ({
  url: `http://127.0.0.1:${port}/touches?from=backstop`,
  secret: () => Promise.resolve(SECRET),
  network: ANY_NETWORK,
  now: () => new Date(),
  ...over,
});
