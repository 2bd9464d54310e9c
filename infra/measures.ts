import { Duration } from "aws-cdk-lib";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import { METRIC_NAMESPACE, METRIC_UNITS, type MetricName } from "../lib/platform/metrics.ts";

const STATISTICS = { Count: "Sum", Seconds: "Maximum", Milliseconds: "Maximum" } as const;

/** A figure of the run's report as CloudWatch has it: counts are summed, of times the largest is taken. */
export function measureOf(functionName: string, metricName: MetricName, period = Duration.minutes(1)): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { service: functionName },
    statistic: STATISTICS[METRIC_UNITS[metricName]],
    period,
  });
}

/** How many connections the proxy cannot share at the moment. */
export const pinnedConnections = (proxyName: string, period = Duration.minutes(1)): Metric =>
  new Metric({
    namespace: "AWS/RDS",
    metricName: "DatabaseConnectionsCurrentlySessionPinned",
    dimensionsMap: { ProxyName: proxyName },
    statistic: "Maximum",
    period,
  });
