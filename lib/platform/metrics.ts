import type { ChannelFault } from "../run/channel-health.ts";
import type { IntakeReport } from "../run/intake/take-in-messages.ts";
import type { DeliveryReport, Report } from "../run/report.ts";

export const METRIC_NAMESPACE = "Backstop";

/** What the function tells CloudWatch about itself, by the unit in which it is told. Each is told of whole reports only. */
export const METRIC_UNITS = {
  /** Whole scheduled runs that were a success. A run that found the lock taken is none. */
  SuccessfulRuns: "Count",
  FailedRuns: "Count",
  SkippedRuns: "Count",
  DryRuns: "Count",
  RunDuration: "Milliseconds",
  /** The largest time from a booking to the end of what chased it; 0 where nothing was left to end. */
  BookingToStop: "Seconds",
  BackstopCompletions: "Count",
  BackstopRemaining: "Count",
  CancelledTouches: "Count",
  DueSteps: "Count",
  HeldSteps: "Count",
  SentTouches: "Count",
  RetryingTouches: "Count",
  FailedTouches: "Count",
  UnknownTouches: "Count",
  /** 1 where the channel took nothing from anybody, else 0. */
  EmailDown: "Count",
  SmsDown: "Count",
  WebhookDown: "Count",
  /** Workspaces of which a channel took nothing, while it took messages of others. */
  RefusedWorkspaces: "Count",
  Backlog: "Count",
  OldestDue: "Seconds",
  RowsToRepair: "Count",
  SentDigests: "Count",
  /** Digests that were given up, or that may or may not have gone out. */
  LostDigests: "Count",
  /** Leads that the intake made because a fact named an unknown person. */
  CreatedLeads: "Count",
  /** Facts that were applied with warnings. */
  WarnedFacts: "Count",
} as const satisfies Record<string, "Count" | "Seconds" | "Milliseconds">;

export type MetricName = keyof typeof METRIC_UNITS;

export interface Figure {
  readonly name: MetricName;
  readonly value: number;
}

/** Every figure of one run. What a step that did not run would have told is left out, so that no average counts it as zero. */
export function figuresOf(report: Report): readonly Figure[] {
  if (report.dryRun) return figures({ DryRuns: 1 });
  return [
    ...runFigures(report),
    ...backstopFigures(report),
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

/** Every figure of one batch that was sent beside a run. */
export const figuresOfDelivery = (delivery: DeliveryReport, faults: readonly ChannelFault[]): readonly Figure[] => [
  ...touchesOf([delivery]),
  ...channelFigures(faults),
];

function channelFigures(faults: readonly ChannelFault[]): readonly Figure[] {
  const down = (channel: ChannelFault["channel"]) =>
    faults.some((fault) => fault.channel === channel && fault.workspaceId === null) ? 1 : 0;
  return figures({
    EmailDown: down("email"),
    SmsDown: down("sms"),
    WebhookDown: down("webhook"),
    RefusedWorkspaces: new Set(faults.flatMap(({ workspaceId }) => workspaceId ?? [])).size,
  });
}

/** Every figure of one batch of facts. */
export const figuresOfIntake = ({ created, warned }: IntakeReport): readonly Figure[] =>
  figures({ CreatedLeads: created, WarnedFacts: warned });

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
