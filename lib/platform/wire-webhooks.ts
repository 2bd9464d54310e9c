import type { WebhooksConfig } from "./config.ts";
import { storedConnectionSecrets } from "./connection-secrets.ts";
import { eventBridgeBus } from "./fact-bus.ts";
import type { WebhookPorts } from "./route.ts";

/** Wires the ports of the webhooks function. Calls no service before the first request. */
export const wireWebhooks = ({ EVENT_BUS_NAME, CONNECTION_SECRETS_PREFIX }: WebhooksConfig): WebhookPorts => ({
  secrets: storedConnectionSecrets(CONNECTION_SECRETS_PREFIX),
  bus: eventBridgeBus(EVENT_BUS_NAME),
  now: () => new Date(),
});
