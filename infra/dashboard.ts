import { Duration } from "aws-cdk-lib";
import {
  type Alarm,
  AlarmStatusWidget,
  Color,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  SingleValueWidget,
  TextWidget,
} from "aws-cdk-lib/aws-cloudwatch";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { MetricName } from "../lib/platform/metrics.ts";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { measureOf, pinnedConnections } from "./measures.ts";
import { longestInterval } from "./schedule-interval.ts";

export interface RunDashboardProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly revision: string;
  readonly alarms: readonly Alarm[];
  readonly functions: readonly IFunction[];
  readonly queues: readonly IQueue[];
  readonly proxyName: string;
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
    "# When a lead books, what chased the meeting stops",
    `Stage **${configuration.stage}**, revision \`${revision}\`, schedule \`${expression}\` (${timeZone}).`,
    `From booking to stop it may take **${interval.toSeconds()} s**, the longest time between two ticks. What to do when it takes longer: docs/runbook.md`,
  ].join("\n\n");
  const measure = measureOf(names.followUpsFunction, "BookingToStop");
  return [
    new TextWidget({ markdown, width: THIRD, height: 6 }),
    new SingleValueWidget({
      title: "Slowest stop of the last day, seconds",
      metrics: [measure.with({ period: Duration.days(1), label: "booking to stop" })],
      setPeriodToTimeRange: false,
      width: THIRD,
      height: 6,
    }),
    new GraphWidget({
      title: "From booking to stop, seconds",
      left: [measure.with({ label: "slowest" })],
      leftAnnotations: [{ value: interval.toSeconds(), label: "promised", color: Color.RED }],
      leftYAxis: { min: 0 },
      width: THIRD,
      height: 6,
    }),
  ];
}

const state = ({ alarms }: RunDashboardProps): IWidget =>
  new AlarmStatusWidget({ title: "Alarms", alarms: [...alarms], width: WHOLE, height: 3 });

const CHANNEL_FAULTS = ["EmailDown", "SmsDown", "WebhookDown", "RefusedWorkspaces"] as const;

function runs({ configuration, names }: RunDashboardProps): IWidget[] {
  const senders = [names.followUpsFunction, ...(configuration.delivery ? [names.deliverFunction] : [])];
  const touches = ["SentTouches", "RetryingTouches", "FailedTouches", "UnknownTouches"] as const;
  const graph = (title: string, metrics: readonly MetricName[]) =>
    graphOf(
      title,
      THIRD,
      metrics.map((name) => measureOf(names.followUpsFunction, name)),
    );
  return [
    graph("Runs", ["SuccessfulRuns", "FailedRuns", "SkippedRuns"]),
    graph("Ended by the backstop", ["BackstopCompletions", "BackstopRemaining", "CancelledTouches"]),
    graphOf(
      "Touches",
      THIRD,
      senders.flatMap((sender) => touches.map((name) => measureOf(sender, name))),
    ),
    graph("Due, held, left over", ["DueSteps", "HeldSteps", "Backlog"]),
    graph("Age of the oldest due step, seconds", ["OldestDue"]),
    graph("Rows that a person has to repair", ["RowsToRepair"]),
    graph("Digests", ["SentDigests", "LostDigests"]),
    ...(configuration.intake ? [factsToReview(names)] : []),
    graphOf(
      "Channels that take nothing",
      THIRD,
      senders.flatMap((sender) => CHANNEL_FAULTS.map((name) => measureOf(sender, name))),
    ),
  ];
}

const factsToReview = ({ intakeFunction }: RunDashboardProps["names"]): IWidget =>
  graphOf(
    "Facts to review: leads added, warnings",
    THIRD,
    (["CreatedLeads", "WarnedFacts"] as const).map((name) => measureOf(intakeFunction, name)),
  );

function machinery({ functions, queues, proxyName }: RunDashboardProps): IWidget[] {
  const perFunction = (title: string, metric: (one: IFunction) => IMetric) =>
    graphOf(title, HALF, functions.map(metric));
  return [
    perFunction("Longest invocation, milliseconds", (one) => one.metricDuration({ statistic: "Maximum" })),
    perFunction("Errors and time-outs", (one) => one.metricErrors()),
    graphOf(
      "Messages in the queues",
      HALF,
      queues.map((queue) => queue.metricApproximateNumberOfMessagesVisible()),
    ),
    graphOf("Pinned connections of the proxy", HALF, [pinnedConnections(proxyName)]),
  ];
}

const graphOf = (title: string, width: number, left: IMetric[]): IWidget =>
  new GraphWidget({ title, left, leftYAxis: { min: 0 }, width });
