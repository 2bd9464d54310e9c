import { setImmediate } from "node:timers/promises";
import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import { Metrics } from "@aws-lambda-powertools/metrics";
import { logMetrics } from "@aws-lambda-powertools/metrics/middleware";
import middy from "@middy/core";
import type { Context } from "aws-lambda";
import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { figuresOf, METRIC_NAMESPACE, METRIC_UNITS } from "../lib/platform/metrics.ts";
import { wire } from "../lib/platform/wire.ts";
import type { Report } from "../lib/run/report.ts";
import { runFollowUps } from "../lib/run/run.ts";
import { RunFailed } from "../lib/run/run-failed.ts";

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

/** One run. An unsuccessful scheduled run throws, so that it counts in Lambda's error metric. */
export const handler = middy<unknown, Report, Error, Context>()
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .use(logMetrics(metrics))
  .handler(async (event, lambda) => {
    // After a freeze, yield one tick so that the pool drops dead connections first.
    await setImmediate();
    const invocation = { requestId: lambda.awsRequestId, remainingMs: () => lambda.getRemainingTimeInMillis() };
    const report = await runFollowUps(event, invocation, ports, settings);
    for (const { name, value } of figuresOf(report)) metrics.addMetric(name, METRIC_UNITS[name], value);
    if (!report.success && report.trigger !== "manual") throw new RunFailed(report);
    return report;
  });
