import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { lambdaSetup, redeliver, sqsBatch } from "../lib/platform/lambda.ts";
import { figuresOfDelivery } from "../lib/platform/metrics.ts";
import { wire } from "../lib/platform/wire.ts";
import { deliverMessages } from "../lib/run/deliver-messages.ts";

const config = loadConfig(process.env);
const { log, record, handle } = lambdaSetup(config);
const ports = wire(config, log);
const settings = runSettings(config);

/** Sends the touches from the delivery queue. Returns the messages to redeliver. */
export const handler = handle(async (event, lambda) => {
  const { Records: messages } = sqsBatch.parse(event);
  const invocation = { remainingMs: () => lambda.getRemainingTimeInMillis() };
  const { delivery, channelFaults, failedMessageIds } = await deliverMessages(messages, invocation, ports, settings);
  record(figuresOfDelivery(delivery, channelFaults));
  return redeliver(failedMessageIds);
});
