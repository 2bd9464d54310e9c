import { setImmediate } from "node:timers/promises";
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics } from "@aws-lambda-powertools/metrics";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context, SQSBatchResponse } from "aws-lambda";
import * as z from "zod";
import { loadIntakeConfig } from "../lib/platform/config.ts";
import { figuresOfIntake, METRIC_NAMESPACE, METRIC_UNITS } from "../lib/platform/metrics.ts";
import { wireIntake } from "../lib/platform/wire-intake.ts";
import { applyEvent, applyMessages } from "../lib/run/intake/apply-messages.ts";
import type { FactOutcome } from "../lib/run/intake/outcome.ts";

const config = loadIntakeConfig(process.env);
const persistentKeys = { revision: config.GIT_REVISION };
const serviceName = config.AWS_LAMBDA_FUNCTION_NAME;
const logger = new Logger({ serviceName, logLevel: config.LOG_LEVEL, persistentKeys });
const metrics = new Metrics({ namespace: METRIC_NAMESPACE, serviceName });
const ports = wireIntake(config, {
  info: (event, fields) => logger.info(event, fields),
  error: (event, fields) => logger.error(event, fields),
});

const sqsEvent = z.object({ Records: z.array(z.object({ messageId: z.string(), body: z.string() })) });

/**
 * Applies the facts from the queue and returns the messages to redeliver. A single event, such as a test event from the
 * console, is applied too; the handler returns its outcome.
 */
export const handler = middy<unknown, SQSBatchResponse | FactOutcome, Error, Context>()
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .use(logMetrics(metrics))
  .handler(async (event) => {
    // After a freeze, yield one tick so that the pool drops dead connections first.
    await setImmediate();
    const batch = sqsEvent.safeParse(event);
    if (!batch.success) return await applyEvent(JSON.stringify(event), ports);
    const { report, failedMessageIds } = await applyMessages(batch.data.Records, ports);
    for (const { name, value } of figuresOfIntake(report)) metrics.addMetric(name, METRIC_UNITS[name], value);
    return { batchItemFailures: failedMessageIds.map((itemIdentifier) => ({ itemIdentifier })) };
  });
