import { storedConnectionSecrets } from "../lib/platform/connection-secrets.ts";
import { eventBridgeBus } from "../lib/platform/fact-bus.ts";
import { lambdaSetup } from "../lib/platform/lambda.ts";
import { unsubscribeKeysOf } from "../lib/platform/unsubscribe-links.ts";
import { answerRequest } from "../lib/platform/webhook-routes.ts";
import { loadWebhooksConfig } from "../lib/platform/webhooks-config.ts";

const config = loadWebhooksConfig(process.env);
const { log, record, handle } = lambdaSetup(config);
/** Call no service before the first request. */
const ports = {
  secrets: storedConnectionSecrets(config.CONNECTION_SECRETS_PREFIX),
  bus: eventBridgeBus(config.EVENT_BUS_NAME, "backstop.webhooks"),
  unsubscribeKeys: unsubscribeKeysOf(config),
  now: () => new Date(),
  log,
};

/** Answers one request of the HTTP API. Needs no database. */
export const handler = handle(async (event) => {
  const { answer, figures } = await answerRequest(event, ports);
  record(figures);
  return answer;
});
