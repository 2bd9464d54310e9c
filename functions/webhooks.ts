import { lambdaSetup } from "../lib/platform/lambda.ts";
import { answerRequest } from "../lib/platform/webhook-routes.ts";
import { loadWebhooksConfig } from "../lib/platform/webhooks-config.ts";
import { wireWebhooks } from "../lib/platform/wire-webhooks.ts";

const config = loadWebhooksConfig(process.env);
const { log, record, handle } = lambdaSetup(config);
const ports = { ...wireWebhooks(config), log };

/** Answers one request of the HTTP API. Needs no database. */
export const handler = handle(async (event) => {
  const { answer, figures } = await answerRequest(event, ports);
  record(figures);
  return answer;
});
