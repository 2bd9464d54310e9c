import type { ChannelFault } from "./channel-health.ts";
import type { StepName, Trigger } from "./request.ts";

/** Counts of one kind each; every key is there from the start, so that a report always has the same shape. */
export interface BackstopReport {
  completedCount: number;
  cancelledTouches: number;
  /**
   * The largest time from a booking to the completion of an instance, in seconds, or to now where the instance is still
   * live; 0 where there was nothing to complete.
   */
  slowestSeconds: number;
  /** Completed instances by workspace id. */
  byWorkspace: Record<string, number>;
  /** Instances of booked leads that are still live: another transaction holds them, or the time was over. */
  remaining: number;
  /** Instances of post-booking sequences whose meeting was cancelled, missed, moved or deleted by a direct write. */
  endedPostBooking: number;
  /** Instances of leads whose status was changed by a direct write to one that bars contact. */
  endedByLeadStatus: number;
  /** Leads whose last meeting is over and who are therefore no longer booked. */
  unbookedLeads: number;
  /** What the daily full comparison found that the marker had missed. More than 0 is an error; null: not made today. */
  missedByMarker: number | null;
}

export interface ResumeReport {
  checked: number;
  resumed: number;
}

export interface EnrichmentReport extends ResumeReport {
  /** Resumed without the data, which will not come: the step is skipped when it is decided. */
  skippedSteps: number;
}

export interface DeliveryReport {
  sent: number;
  /** Still claimed: to be tried again, or not begun by this run. */
  retrying: number;
  failed: number;
  unknown: number;
  cancelled: number;
  /** Their time to live ended before they were sent. */
  expired: number;
  /** Still claimed, and not to go before a later time: the window has shut, or another touch of the lead went first. */
  deferred: number;
  /** In the hands of the delivery queue. */
  queued: number;
}

export interface RecoveredReport {
  /** Touches that waited for approval until their time to live was over. */
  expired: number;
  /** Touches whose sender died: nobody knows whether they went out, and a person has to look. */
  unknown: number;
  /** Touches whose sender died on a channel that takes the same touch twice: claimed again. */
  reclaimed: number;
  /** Claimed touches that were taken up: retries whose time has come, and those that a dead run left. */
  takenUp: number;
  /** What became of `takenUp`; null in a dry run. */
  delivery: DeliveryReport | null;
}

/** Each digest that was looked at counts once for each of its receivers, and once where it has none. */
export interface DigestsReport {
  checked: number;
  sent: number;
  /** Nothing had happened, or nobody is to be told. */
  skipped: number;
  failed: number;
  /** To be tried again, or, in a dry run, to be sent. */
  retrying: number;
  /** They may or may not have gone out, and are not sent again. */
  unknown: number;
}

/** A row that a person has to look at. `detail` names what is wrong, never whom it is about. */
export interface Problem {
  instanceId: string;
  workspaceId: string;
  reason: string;
  detail?: string;
}

/** Instants are ISO 8601 UTC. */
export interface Hold {
  steps: number;
  /** When the first of them is looked at again. */
  earliest: string;
  /** When the last of them is. */
  latest: string;
}

export interface SendDueReport {
  due: number;
  claimed: number;
  held: number;
  paused: number;
  skipped: number;
  completed: number;
  awaitingApproval: number;
  expired: number;
  /** What became of the claimed touches; null in a dry run, which sends nothing. */
  delivery: DeliveryReport | null;
  reasons: Record<string, number>;
  /** Of the held steps, by reason: how many, and when they are looked at again. */
  holds: Record<string, Hold>;
  /** At most `PROBLEMS_TOLD` of the rows that a person has to look at, of as many workspaces as have some; `reasons` counts all. */
  problems: Problem[];
  /** Steps that are still due and claimed touches that may go and nobody has in hand, counted up to `BACKLOG_COUNTED`. */
  backlog: number;
  /**
   * The age, in seconds, of the oldest step that was due, or claimed touch that might go, once the leftovers had their turn.
   * A touch counts from when it may go, also while a delivery queue has it.
   */
  oldestDueSeconds: number;
  /** The same by workspace id, for at most `PROBLEMS_TOLD` workspaces: those that have waited longest. */
  oldestDueSecondsByWorkspace: Record<string, number>;
}

export const PROBLEMS_TOLD = 50;
export const BACKLOG_COUNTED = 100_000;

/** One decision of a dry run, told so that a person can follow it. */
export interface SampleDecision {
  instanceId: string;
  position: number;
  decision: string;
  reason: string;
  rule: string;
  until?: string;
}

/** Who holds the overlap lock. A holder that has left no run row is known by its server process alone. */
export interface LockHolder {
  readonly runId: string | null;
  readonly requestId: string | null;
  readonly pid: number;
  /** ISO 8601 UTC. */
  readonly since: string;
  /** When the holder is cut off at the latest, ISO 8601 UTC. */
  readonly deadlineAt: string | null;
}

/** The results of the steps, each null until its step has begun. */
export interface StepReports {
  backstop: BackstopReport | null;
  snoozed: ResumeReport | null;
  resumed: ResumeReport | null;
  enrichmentResumed: EnrichmentReport | null;
  results: SendDueReport | null;
  recovered: RecoveredReport | null;
  notificationDigests: DigestsReport | null;
}

export type Reason =
  | "invalid_event"
  | "schema_out_of_date"
  | "unsafe_database_settings"
  | "database_unreachable"
  | "locked"
  | "out_of_time"
  | "lock_lost";

/** What a run returns, stores in `run` and logs in one line. Holds ids and counts, no personal data. */
export interface Report extends StepReports {
  statusCode: 200 | 400 | 500 | 503;
  /** Computed: no error, and the report balances. */
  success: boolean;
  errors: string[];
  /** True where another run held the overlap lock, so that only the backstop ran. */
  skipped: boolean;
  reason?: Reason;
  /** With `schema_out_of_date`: the migrations, columns or labels that the database lacks. */
  missing?: readonly string[];
  /** With `unsafe_database_settings`: each setting, with the statement that fixes it. */
  unsafeSettings?: readonly string[];
  /**
   * Channels that took nothing, of everybody (which is an error as well) or of one workspace; at most `PROBLEMS_TOLD`. Their
   * touches are still claimed, and no attempt of theirs is used up.
   */
  channelFaults: readonly ChannelFault[];
  heldBy?: LockHolder;
  /** The lock was still taken after its holder's deadline, so that this run went on without it. */
  staleLock?: LockHolder;
  sample?: SampleDecision[];
  runId: string | null;
  trigger: Trigger;
  dryRun: boolean;
  /** The instant of the run, ISO 8601 UTC; null where no database told the time. */
  timestamp: string | null;
  durationMs: number;
}

export const noSteps = (): StepReports => ({
  backstop: null,
  snoozed: null,
  resumed: null,
  enrichmentResumed: null,
  results: null,
  recovered: null,
  notificationDigests: null,
});

/** Where each step's result stands in the report. */
export const REPORT_KEYS = {
  backstop: "backstop",
  "resume-snoozed": "snoozed",
  "resume-ghosted": "resumed",
  "resume-awaiting-enrichment": "enrichmentResumed",
  "send-due": "results",
  "recover-touches": "recovered",
  "notification-digests": "notificationDigests",
} as const satisfies Record<StepName, keyof StepReports>;

export const nothingCompleted = (): BackstopReport => ({
  completedCount: 0,
  cancelledTouches: 0,
  slowestSeconds: 0,
  byWorkspace: {},
  remaining: 0,
  endedPostBooking: 0,
  endedByLeadStatus: 0,
  unbookedLeads: 0,
  missedByMarker: null,
});

export const noDelivery = (): DeliveryReport => ({
  sent: 0,
  retrying: 0,
  failed: 0,
  unknown: 0,
  cancelled: 0,
  expired: 0,
  deferred: 0,
  queued: 0,
});

export const noDigests = (): DigestsReport => ({ checked: 0, sent: 0, skipped: 0, failed: 0, retrying: 0, unknown: 0 });

/** Says in what way a report does not balance; nothing where it does. */
export function imbalances({ results, recovered, notificationDigests }: StepReports): string[] {
  const faults: string[] = [];
  const compare = (taken: number, accounted: number, what: string) => {
    if (taken !== accounted) {
      faults.push(`the report does not balance: ${taken} ${what}, ${accounted} of them are accounted for`);
    }
  };
  if (results) {
    const { due, claimed, held, paused, skipped, completed, awaitingApproval, expired, delivery } = results;
    const becameOfDue = claimed + held + paused + skipped + completed + awaitingApproval + expired;
    compare(due, becameOfDue, "instances were due");
    if (delivery) compare(claimed, sumOf(delivery), "touches were claimed");
  }
  if (recovered?.delivery) compare(recovered.takenUp, sumOf(recovered.delivery), "touches were taken up");
  if (notificationDigests) {
    const { checked, ...becameOfChecked } = notificationDigests;
    compare(checked, sumOf(becameOfChecked), "digests were checked");
  }
  return faults;
}

const sumOf = (counts: DeliveryReport | Omit<DigestsReport, "checked">): number =>
  Object.values(counts).reduce((sum: number, count: number) => sum + count, 0);
