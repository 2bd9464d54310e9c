import { Logger } from "@aws-lambda-powertools/logger";
import { injectLambdaContext } from "@aws-lambda-powertools/logger/middleware";
import middy from "@middy/core";
import type { Context } from "aws-lambda";
import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { wire } from "../lib/platform/wire.ts";
import type { Report } from "../lib/run/report.ts";
import { runFollowUps } from "../lib/run/run.ts";
import { RunFailed } from "../lib/run/run-failed.ts";

const config = loadConfig(process.env);
const logger = new Logger({ serviceName: "backstop-followups", logLevel: config.LOG_LEVEL });
const ports = wire(config, {
  info: (event, fields) => logger.info(event, fields),
  error: (event, fields) => logger.error(event, fields),
});
const settings = runSettings(config);

/** One run. A scheduled run that is not a success throws, so that Lambda's error metric sees it. */
export const handler = middy<unknown, Report, Error, Context>()
  .use(injectLambdaContext(logger, { resetKeys: true }))
  .handler(async (event, lambda) => {
    const invocation = { requestId: lambda.awsRequestId, remainingMs: () => lambda.getRemainingTimeInMillis() };
    const report = await runFollowUps(event, invocation, ports, settings);
    if (!report.success && report.trigger !== "manual") throw new RunFailed(report);
    return report;
  });
