import { setImmediate } from "node:timers/promises";
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics } from "@aws-lambda-powertools/metrics";
import middy, { type MiddyfiedHandler } from "@middy/core";
import type { Context, SQSBatchResponse } from "aws-lambda";
import * as z from "zod";
import type { Log } from "../run/ports.ts";
import type { Config } from "./config.ts";
import { type Figure, METRIC_NAMESPACE, METRIC_UNITS } from "./metrics.ts";

type Identity = Pick<Config, "AWS_LAMBDA_FUNCTION_NAME" | "GIT_REVISION" | "LOG_LEVEL">;

interface LambdaSetup {
  readonly log: Log;
  readonly record: (figures: readonly Figure[]) => void;
  /** Makes a handler that logs with the request's id, and emits the recorded metrics when it ends. */
  readonly handle: <Result>(
    run: (event: unknown, lambda: Context) => Promise<Result>,
  ) => MiddyfiedHandler<unknown, Result, Error, Context>;
}

/** The log, the metrics and the middleware of a function. */
export function lambdaSetup({ AWS_LAMBDA_FUNCTION_NAME, GIT_REVISION, LOG_LEVEL }: Identity): LambdaSetup {
  // The function name identifies the stage in logs and metric dimensions.
  const serviceName = AWS_LAMBDA_FUNCTION_NAME;
  const logger = new Logger({ serviceName, logLevel: LOG_LEVEL, persistentKeys: { revision: GIT_REVISION } });
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE, serviceName });
  /** Without metrics it would log a warning. */
  const publish = () => {
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
  };
  return {
    log: {
      info: (event, fields) => logger.info(event, fields),
      error: (event, fields) => logger.error(event, fields),
    },
    record(figures) {
      for (const { name, value } of figures) metrics.addMetric(name, METRIC_UNITS[name], value);
    },
    handle: <Result>(run: (event: unknown, lambda: Context) => Promise<Result>) =>
      middy<unknown, Result, Error, Context>(async (event: unknown, lambda: Context) => {
        // After a freeze, yield one tick so that the pool drops dead connections first.
        await setImmediate();
        return await run(event, lambda);
      })
        .use(injectLambdaContext(logger, { resetKeys: true }))
        .use({ after: publish, onError: publish }),
  };
}

/** A batch of messages from an SQS queue. */
export const sqsBatch = z.object({ Records: z.array(z.object({ messageId: z.string(), body: z.string() })) });

/** The partial batch response: SQS redelivers these messages. */
export const redeliver = (messageIds: readonly string[]): SQSBatchResponse => ({
  batchItemFailures: messageIds.map((itemIdentifier) => ({ itemIdentifier })),
});
