import { Duration } from "aws-cdk-lib";
import {
  type Alarm,
  AlarmStatusWidget,
  Color,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  LogQueryWidget,
  Metric,
  SingleValueWidget,
  TextWidget,
} from "aws-cdk-lib/aws-cloudwatch";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { DOWN_METRICS, METRIC_NAMESPACE, METRIC_UNITS, type MetricName } from "../lib/platform/metrics.ts";
import { longestInterval } from "./schedule.ts";
import type { Webhooks } from "./webhooks.ts";
import { logGroupNameOf, type StageProps } from "./worker-function.ts";

interface RunDashboardProps extends StageProps {
  readonly alarms: readonly Alarm[];
  readonly functions: readonly IFunction[];
  readonly queues: readonly IQueue[];
  readonly webhooks: Webhooks | undefined;
}

const WHOLE = 24;
const HALF = WHOLE / 2;
const THIRD = WHOLE / 3;

/** A dashboard that shows whether the promise holds, with the reasons below. */
export class RunDashboard extends Construct {
  constructor(scope: Construct, id: string, props: RunDashboardProps) {
    super(scope, id);
    new Dashboard(this, "Dashboard", {
      dashboardName: props.names.dashboard,
      defaultInterval: Duration.hours(3),
      widgets: [promise(props), [state(props)], runs(props), machinery(props)],
    });
  }
}

function promise({ configuration, names, revision }: RunDashboardProps): IWidget[] {
  const { expression, timeZone } = configuration.schedule;
  const interval = longestInterval(expression);
  const markdown = [
    "# When a lead books, its sequences stop",
    `Stage **${configuration.stage}**, revision \`${revision}\`, schedule \`${expression}\` (${timeZone}).`,
    `A stop may take **${interval.toSeconds()} s** after the booking, the longest time between two ticks. If it takes longer, see docs/runbook.md`,
  ].join("\n\n");
  const metric = metricOf(names.followUpsFunction, "BookingToStop");
  return [
    new TextWidget({ markdown, width: THIRD, height: 6 }),
    new SingleValueWidget({
      title: "Slowest stop of the last day (seconds)",
      metrics: [metric.with({ period: Duration.days(1), label: "booking to stop" })],
      setPeriodToTimeRange: false,
      width: THIRD,
      height: 6,
    }),
    new GraphWidget({
      title: "Booking to stop (seconds)",
      left: [metric.with({ label: "slowest" })],
      leftAnnotations: [{ value: interval.toSeconds(), label: "promised", color: Color.RED }],
      leftYAxis: { min: 0 },
      width: THIRD,
      height: 6,
    }),
  ];
}

const state = ({ alarms }: RunDashboardProps): IWidget =>
  new AlarmStatusWidget({ title: "Alarms", alarms: [...alarms], width: WHOLE, height: 3 });

const CHANNEL_FAULTS = [...DOWN_METRICS.map(({ metric }) => metric), "RefusedWorkspaces"] as const;

function runs({ configuration, names, webhooks }: RunDashboardProps): IWidget[] {
  const senders = [names.followUpsFunction, ...(configuration.delivery ? [names.deliverFunction] : [])];
  const touches = ["SentTouches", "RetryingTouches", "FailedTouches", "UnknownTouches"] as const;
  const graph = (title: string, metrics: readonly MetricName[]) =>
    graphOf(
      title,
      THIRD,
      metrics.map((name) => metricOf(names.followUpsFunction, name)),
    );
  return [
    graph("Runs", ["SuccessfulRuns", "FailedRuns", "SkippedRuns"]),
    graph("Completed by the backstop", ["BackstopCompletions", "BackstopRemaining", "CancelledTouches"]),
    graphOf(
      "Touches",
      THIRD,
      senders.flatMap((sender) => touches.map((name) => metricOf(sender, name))),
    ),
    graph("Due, held and left over", ["DueSteps", "HeldSteps", "Backlog"]),
    reasons(names),
    graph("Age of the oldest due step (seconds)", ["OldestDue"]),
    graph("Rows to repair", ["RowsToRepair"]),
    graph("Workspaces paused by the guardrail", ["PausedWorkspaces"]),
    graph("Digests", ["SentDigests", "LostDigests"]),
    ...(configuration.intake ? facts(names) : []),
    ...(webhooks ? [requests(names, webhooks)] : []),
    ...(configuration.reconcile ? sweeps(names) : []),
    graphOf(
      "Channels that accept nothing",
      THIRD,
      senders.flatMap((sender) => CHANNEL_FAULTS.map((name) => metricOf(sender, name))),
    ),
  ];
}

/** Counts of the report by reason. A metric for each would cost more than all others. */
const reasons = ({ followUpsFunction }: RunDashboardProps["names"]): IWidget =>
  new LogQueryWidget({
    title: "Why due steps went or were held, by run",
    logGroupNames: [logGroupNameOf(followUpsFunction)],
    queryLines: [
      'filter message = "run.finished" and report.results.due > 0',
      `parse @message /${REASONS_IN_REPORT}/`,
      "display @timestamp, report.results.due, report.results.held, reasons",
      "sort @timestamp desc",
      "limit 20",
    ],
    width: THIRD,
    height: 6,
  });

/** Finds `results.reasons` in the line of a report, whose keys no query can list. */
export const REASONS_IN_REPORT = String.raw`"reasons":\{(?<reasons>[^}]*)\}`;

function facts({ intakeFunction }: RunDashboardProps["names"]): IWidget[] {
  const graph = (title: string, metrics: readonly MetricName[]) =>
    graphOf(
      title,
      THIRD,
      metrics.map((name) => metricOf(intakeFunction, name)),
    );
  return [
    graph("Facts", ["AppliedFacts", "StaleFacts", "DuplicateFacts", "RefusedFacts", "FailedFacts", "IgnoredMessages"]),
    graph("Facts to review: created leads, warnings", ["CreatedLeads", "WarnedFacts"]),
  ];
}

function sweeps({ followUpsFunction, reconcileFunction }: RunDashboardProps["names"]): IWidget[] {
  const counts = ["SuccessfulSweeps", "FailedSweeps", "ChangedMeetings", "UnreadMeetings"] as const;
  return [
    graphOf("Bookings without a webhook: known after at most (seconds)", THIRD, [
      metricOf(followUpsFunction, "SweepAge"),
    ]),
    graphOf(
      "Comparisons of booking tools",
      THIRD,
      counts.map((name) => metricOf(reconcileFunction, name)),
    ),
  ];
}

function requests({ webhooksFunction }: RunDashboardProps["names"], { stage }: Webhooks): IWidget {
  return graphOf("Requests", THIRD, [
    stage.metricCount({ statistic: "Sum", label: "all" }),
    stage.metricServerError({ statistic: "Sum", label: "answered with 5xx" }),
    metricOf(webhooksFunction, "AcceptedFacts"),
    metricOf(webhooksFunction, "RejectedSignatures"),
    metricOf(webhooksFunction, "ThrottledRequests"),
  ]);
}

function machinery({ functions, queues, foundation }: RunDashboardProps): IWidget[] {
  const perFunction = (title: string, metric: (one: IFunction) => IMetric) =>
    graphOf(title, HALF, functions.map(metric));
  return [
    perFunction("Longest invocation (milliseconds)", (one) => one.metricDuration({ statistic: "Maximum" })),
    perFunction("Errors and timeouts", (one) => one.metricErrors()),
    graphOf(
      "Messages in the queues",
      HALF,
      queues.map((queue) => queue.metricApproximateNumberOfMessagesVisible()),
    ),
    graphOf("Pinned proxy connections", HALF, [pinnedConnections(foundation.proxyName)]),
  ];
}

const graphOf = (title: string, width: number, left: IMetric[]): IWidget =>
  new GraphWidget({ title, left, leftYAxis: { min: 0 }, width });

const STATISTICS = { Count: "Sum", Seconds: "Maximum", Milliseconds: "Maximum" } as const;

/** A CloudWatch metric from the run report. Statistic: the sum for counts, the maximum for durations. */
export function metricOf(functionName: string, metricName: MetricName, period = Duration.minutes(1)): Metric {
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
