import type { ReconcileReport } from "../booking/reconcile.ts";
import { CHANNEL_REGISTRY } from "../domain/channels.ts";
import { CHANNELS, type Channel } from "../domain/labels.ts";
import type { IntakeReport } from "../run/apply-messages.ts";
import type { ChannelFault } from "../run/channel-health.ts";
import type { Report } from "../run/report.ts";
import type { DeliveryReport } from "../run/step-reports.ts";

type DownMetric = Exclude<(typeof CHANNEL_REGISTRY)[Channel]["downMetric"], null>;

/** Channels with the metric that is 1 if the channel accepted nothing from any workspace, otherwise 0. */
export const DOWN_METRICS: readonly { readonly channel: Channel; readonly metric: DownMetric }[] = CHANNELS.flatMap(
  (channel) => {
    const metric = CHANNEL_REGISTRY[channel].downMetric;
    return metric ? [{ channel, metric }] : [];
  },
);

export const METRIC_NAMESPACE = "Backstop";

/** The CloudWatch metrics and their units. Only complete reports emit them. */
export const METRIC_UNITS = {
  /** Complete scheduled runs that succeeded. A run that found the lock taken does not count. */
  SuccessfulRuns: "Count",
  FailedRuns: "Count",
  SkippedRuns: "Count",
  DryRuns: "Count",
  RunDuration: "Milliseconds",
  /** The longest time from a booking to the end of the lead's follow-ups; 0 if none were active. */
  BookingToStop: "Seconds",
  /** How late a booking without a webhook may be known. Absent without a connection. */
  SweepAge: "Seconds",
  BackstopCompletions: "Count",
  BackstopRemaining: "Count",
  CancelledTouches: "Count",
  DueSteps: "Count",
  HeldSteps: "Count",
  SentTouches: "Count",
  RetryingTouches: "Count",
  FailedTouches: "Count",
  UnknownTouches: "Count",
  ...(Object.fromEntries(DOWN_METRICS.map(({ metric }) => [metric, "Count"])) as Record<DownMetric, "Count">),
  /** Workspaces that a channel refused while it accepted messages of others. */
  RefusedWorkspaces: "Count",
  /** Workspaces that the guardrail paused. */
  PausedWorkspaces: "Count",
  Backlog: "Count",
  OldestDue: "Seconds",
  RowsToRepair: "Count",
  SentDigests: "Count",
  /** Digests that failed permanently or have an unknown outcome. */
  LostDigests: "Count",
  /** Facts that changed something. */
  AppliedFacts: "Count",
  /** Facts older than one that was applied before. */
  StaleFacts: "Count",
  /** Redeliveries of applied facts. */
  DuplicateFacts: "Count",
  /** Facts that were not applied and wait for a person. */
  RefusedFacts: "Count",
  /** Attempts that failed; the queue redelivers the fact. */
  FailedFacts: "Count",
  /** Messages that concern no touch and no lead here. */
  IgnoredMessages: "Count",
  /** Leads that the intake created because a fact named an unknown person. */
  CreatedLeads: "Count",
  /** Facts that were applied with warnings. */
  WarnedFacts: "Count",
  /** Facts that the event bus accepted from a webhook. */
  AcceptedFacts: "Count",
  /** Comparisons of one window of a booking tool: complete ones, and those that failed. */
  SuccessfulSweeps: "Count",
  FailedSweeps: "Count",
  /** Meetings about which a sweep put a new fact on the bus. */
  ChangedMeetings: "Count",
  /** Meetings and calendars of a booking tool that could not be read while the rest could. */
  UnreadMeetings: "Count",
  /** Requests to a known workspace whose signature or token was wrong. */
  RejectedSignatures: "Count",
  /** Requests that API Gateway throttled, counted from its access log. */
  ThrottledRequests: "Count",
} as const satisfies Record<string, "Count" | "Seconds" | "Milliseconds">;

export type MetricName = keyof typeof METRIC_UNITS;

export interface Figure {
  readonly name: MetricName;
  readonly value: number;
}

/** The metrics of one run. Omits those of steps that did not run, so that averages do not count them as zero. */
export function figuresOf(report: Report): readonly Figure[] {
  if (report.dryRun) return figures({ DryRuns: 1 });
  return [
    ...runFigures(report),
    ...backstopFigures(report),
    ...figures(report.guardrail ? { PausedWorkspaces: report.guardrail.paused } : {}),
    ...sendingFigures(report),
    ...digestFigures(report),
    ...(report.results || report.recovered || report.notificationDigests ? channelFigures(report.channelFaults) : []),
  ];
}

function runFigures({ success, skipped, trigger, backstop, results, durationMs }: Report): readonly Figure[] {
  const watched = trigger !== "manual";
  const whole = backstop !== null && results !== null;
  return figures({
    SuccessfulRuns: watched && success && whole ? 1 : 0,
    FailedRuns: watched && !success ? 1 : 0,
    SkippedRuns: skipped ? 1 : 0,
    RunDuration: durationMs,
  });
}

function backstopFigures({ backstop }: Report): readonly Figure[] {
  if (!backstop) return [];
  return figures({
    BookingToStop: backstop.slowestSeconds,
    ...(backstop.sweepAgeSeconds !== null && { SweepAge: backstop.sweepAgeSeconds }),
    BackstopCompletions: backstop.completedCount,
    BackstopRemaining: backstop.remaining,
    CancelledTouches: backstop.cancelledTouches,
  });
}

function sendingFigures({ results, recovered }: Report): readonly Figure[] {
  const due = results && {
    DueSteps: results.due,
    HeldSteps: results.held,
    Backlog: results.backlog,
    OldestDue: results.oldestDueSeconds,
    RowsToRepair: results.problems.length,
  };
  const deliveries = [results?.delivery, recovered?.delivery].filter((delivery) => !!delivery);
  const sent = results || recovered ? touchesOf(deliveries, recovered?.unknown) : [];
  return [...figures(due ?? {}), ...sent];
}

function digestFigures({ notificationDigests: digests }: Report): readonly Figure[] {
  return digests ? figures({ SentDigests: digests.sent, LostDigests: digests.failed + digests.unknown }) : [];
}

/** The metrics of one batch from the delivery queue. */
export const figuresOfDelivery = (delivery: DeliveryReport, faults: readonly ChannelFault[]): readonly Figure[] => [
  ...touchesOf([delivery]),
  ...channelFigures(faults),
];

function channelFigures(faults: readonly ChannelFault[]): readonly Figure[] {
  const isDown = (channel: Channel) => faults.some((fault) => fault.channel === channel && fault.workspaceId === null);
  return figures({
    ...Object.fromEntries(DOWN_METRICS.map(({ channel, metric }) => [metric, isDown(channel) ? 1 : 0])),
    RefusedWorkspaces: new Set(faults.flatMap(({ workspaceId }) => workspaceId ?? [])).size,
  });
}

/** The metrics of one batch of facts. */
export const figuresOfIntake = (report: IntakeReport): readonly Figure[] =>
  figures({
    AppliedFacts: report.applied,
    StaleFacts: report.stale,
    DuplicateFacts: report.duplicate,
    RefusedFacts: report.refused,
    FailedFacts: report.failed,
    IgnoredMessages: report.ignored,
    CreatedLeads: report.created,
    WarnedFacts: report.warned,
  });

/** The metrics of one reconciliation. */
export const figuresOfReconcile = ({ swept, failed, changed, unread }: ReconcileReport): readonly Figure[] =>
  figures({ SuccessfulSweeps: swept, FailedSweeps: failed, ChangedMeetings: changed, UnreadMeetings: unread });

function touchesOf(deliveries: readonly DeliveryReport[], unknownBefore = 0): readonly Figure[] {
  const total = (outcome: "sent" | "retrying" | "failed" | "unknown") =>
    deliveries.reduce((sum, delivery) => sum + delivery[outcome], 0);
  return figures({
    SentTouches: total("sent"),
    RetryingTouches: total("retrying"),
    FailedTouches: total("failed"),
    UnknownTouches: total("unknown") + unknownBefore,
  });
}

const figures = (values: Partial<Record<MetricName, number>>): readonly Figure[] =>
  Object.entries(values).map(([name, value]) => ({ name: name as MetricName, value }));
