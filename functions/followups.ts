import { loadConfig, runSettings } from "../lib/platform/config.ts";
import { lambdaSetup } from "../lib/platform/lambda.ts";
import { figuresOf } from "../lib/platform/metrics.ts";
import { wire } from "../lib/platform/wire.ts";
import { RunFailed } from "../lib/run/report.ts";
import { runFollowUps } from "../lib/run/run.ts";

const config = loadConfig(process.env);
const { log, record, handle } = lambdaSetup(config);
const ports = wire(config, log);
const settings = runSettings(config);

/** One run. An unsuccessful scheduled run throws, so that it counts in Lambda's error metric. */
export const handler = handle(async (event, lambda) => {
  const invocation = { requestId: lambda.awsRequestId, remainingMs: () => lambda.getRemainingTimeInMillis() };
  const report = await runFollowUps(event, invocation, ports, settings);
  record(figuresOf(report));
  if (!report.success && report.trigger !== "manual") throw new RunFailed(report);
  return report;
});
