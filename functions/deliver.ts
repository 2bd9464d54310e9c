import { setImmediate } from "node:timers/promises";
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics } from "@aws-lambda-powertools/metrics";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context, SQSBatchResponse } from "aws-lambda";
import * as z from "zod";
import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { figuresOfDelivery, METRIC_NAMESPACE, METRIC_UNITS } from "../lib/platform/metrics.ts";
import { wire } from "../lib/platform/wire.ts";
import { deliverMessages } from "../lib/run/deliver-messages.ts";

const config = loadConfig(process.env);
// The function name identifies the stage in logs and metric dimensions.
const serviceName = config.AWS_LAMBDA_FUNCTION_NAME;
const persistentKeys = { revision: config.GIT_REVISION };
const logger = new Logger({ serviceName, logLevel: config.LOG_LEVEL, persistentKeys });
const metrics = new Metrics({ namespace: METRIC_NAMESPACE, serviceName });
const ports = wire(config, {
  info: (event, fields) => logger.info(event, fields),
  error: (event, fields) => logger.error(event, fields),
});
const settings = runSettings(config);

const sqsEvent = z.object({ Records: z.array(z.object({ messageId: z.string(), body: z.string() })) });

/** Sends the touches from the delivery queue. Returns the messages to redeliver. */
export const handler = middy<unknown, SQSBatchResponse, Error, Context>()
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .use(logMetrics(metrics))
  .handler(async (event, lambda) => {
    // After a freeze, yield one tick so that the pool drops dead connections first.
    await setImmediate();
    const { Records: messages } = sqsEvent.parse(event);
    const invocation = { remainingMs: () => lambda.getRemainingTimeInMillis() };
    const { delivery, channelFaults, failedMessageIds } = await deliverMessages(messages, invocation, ports, settings);
    for (const { name, value } of figuresOfDelivery(delivery, channelFaults)) {
      metrics.addMetric(name, METRIC_UNITS[name], value);
    }
    return { batchItemFailures: failedMessageIds.map((itemIdentifier) => ({ itemIdentifier })) };
  });
