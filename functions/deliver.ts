import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import middy from "@middy/core";
import type { Context, SQSBatchResponse } from "aws-lambda";
import * as z from "zod";
import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { wire } from "../lib/platform/wire.ts";
import { deliverMessages } from "../lib/run/deliver-messages.ts";

const config = loadConfig(process.env);
const logger = new Logger({ serviceName: "backstop-deliver", logLevel: config.LOG_LEVEL });
const ports = wire(config, {
  info: (event, fields) => logger.info(event, fields),
  error: (event, fields) => logger.error(event, fields),
});
const settings = runSettings(config);

const sqsEvent = z.object({ Records: z.array(z.object({ messageId: z.string(), body: z.string() })) });

/** Sends the touches that the delivery queue hands out. Answers which messages it has to hand out again. */
export const handler = middy<unknown, SQSBatchResponse, Error, Context>()
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .handler(async (event, lambda) => {
    const { Records: messages } = sqsEvent.parse(event);
    const invocation = { remainingMs: () => lambda.getRemainingTimeInMillis() };
    const { failedMessageIds } = await deliverMessages(messages, invocation, ports, settings);
    return { batchItemFailures: failedMessageIds.map((itemIdentifier) => ({ itemIdentifier })) };
  });
