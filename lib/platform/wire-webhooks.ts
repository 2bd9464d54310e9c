import { storedConnectionSecrets } from "./connection-secrets.ts";
import { eventBridgeBus } from "./fact-bus.ts";
import type { WebhookPorts } from "./route.ts";
import { unsubscribeKeysOf } from "./unsubscribe-keys.ts";
import type { WebhooksConfig } from "./webhooks-config.ts";

/** Wires the ports of the webhooks function. Calls no service before the first request. */
export const wireWebhooks = (config: WebhooksConfig): WebhookPorts => ({
  secrets: storedConnectionSecrets(config.CONNECTION_SECRETS_PREFIX),
  bus: eventBridgeBus(config.EVENT_BUS_NAME, "backstop.webhooks"),
  unsubscribeKeys: unsubscribeKeysOf(config),
  now: () => new Date(),
});
