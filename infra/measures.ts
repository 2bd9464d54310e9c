import { Duration } from "aws-cdk-lib";
import { Metric } from "aws-cdk-lib/aws-cloudwatch";
import { METRIC_NAMESPACE, METRIC_UNITS, type MetricName } from "../lib/platform/metrics.ts";

const STATISTICS = { Count: "Sum", Seconds: "Maximum", Milliseconds: "Maximum" } as const;

/** A CloudWatch metric from the run report. Statistic: the sum for counts, the maximum for durations. */
export function measureOf(functionName: string, metricName: MetricName, period = Duration.minutes(1)): Metric {
  return new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { service: functionName },
    statistic: STATISTICS[METRIC_UNITS[metricName]],
    period,
  });
}

/** Number of connections that are currently pinned in the proxy. */
export const pinnedConnections = (proxyName: string, period = Duration.minutes(1)): Metric =>
  new Metric({
    namespace: "AWS/RDS",
    metricName: "DatabaseConnectionsCurrentlySessionPinned",
    dimensionsMap: { ProxyName: proxyName },
    statistic: "Maximum",
    period,
  });
