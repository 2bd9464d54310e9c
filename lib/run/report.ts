import type { ChannelFault } from "./channel-health.ts";
import type { StepName, Trigger } from "./request.ts";

/** Every key is set from the start, so a report always has the same shape. */
export interface BackstopReport {
  completedCount: number;
  cancelledTouches: number;
  /**
   * Longest time from a booking to the completion of an instance, in seconds; for a live instance, to now. 0 if there
   * was nothing to complete.
   */
  slowestSeconds: number;
  /** Completed instances by workspace id. */
  byWorkspace: Record<string, number>;
  /** Live instances of booked leads: locked by another transaction, or left when the time ran out. */
  remaining: number;
  /** Post-booking instances ended because a direct write cancelled, missed, moved or deleted the meeting. */
  endedPostBooking: number;
  /** Instances ended because a direct write set a lead status that bars contact. */
  endedByLeadStatus: number;
  /** Leads no longer booked because their last meeting is over. */
  unbookedLeads: number;
  /**
   * Instances that the marker missed and the daily full comparison found. Above 0 is an error; null: not run this time.
   */
  missedByMarker: number | null;
}

export interface ResumeReport {
  checked: number;
  resumed: number;
}

export interface EnrichmentReport extends ResumeReport {
  /** Resumed although the data will not arrive; the decision skips the step. */
  skippedSteps: number;
}

export interface DeliveryReport {
  sent: number;
  /** Still claimed: waiting for a retry, or not begun in this run. */
  retrying: number;
  failed: number;
  unknown: number;
  cancelled: number;
  /** Their time to live ended before sending. */
  expired: number;
  /** Still claimed, rescheduled: the send window closed, or another touch of the lead was sent first. */
  deferred: number;
  /** Accepted by the delivery queue. */
  queued: number;
}

export interface RecoveredReport {
  /** Touches whose time to live ended while they awaited approval. */
  expired: number;
  /** Touches whose sender died. They may have been sent; someone must check. */
  unknown: number;
  /** Touches whose sender died on an idempotent channel: claimed again. */
  reclaimed: number;
  /** Claimed touches taken up: due retries, and touches that a dead run left. */
  takenUp: number;
  /** Outcomes of `takenUp`; null in a dry run. */
  delivery: DeliveryReport | null;
}

/** Each checked digest counts once per receiver, and once if it has none. */
export interface DigestsReport {
  checked: number;
  sent: number;
  /** No events, or no receiver. */
  skipped: number;
  failed: number;
  /** Waiting for a retry; in a dry run, ready to send. */
  retrying: number;
  /** May have been sent; not sent again. */
  unknown: number;
}

/** A row that needs attention. `detail` names the fault and holds no personal data. */
export interface Problem {
  instanceId: string;
  workspaceId: string;
  reason: string;
  detail?: string;
}

/** Instants are ISO 8601 UTC. */
export interface Hold {
  steps: number;
  /** First recheck. */
  earliest: string;
  /** Last recheck. */
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
  /** Outcomes of the claimed touches; null in a dry run. */
  delivery: DeliveryReport | null;
  reasons: Record<string, number>;
  /** Held steps by reason: their number and recheck times. */
  holds: Record<string, Hold>;
  /** At most `PROBLEMS_REPORTED` rows that need attention, spread over the workspaces; `reasons` counts all. */
  problems: Problem[];
  /** Steps still due, plus sendable claimed touches that no sender or queue holds, up to `BACKLOG_COUNTED`. */
  backlog: number;
  /**
   * Age in seconds of the oldest due step or sendable claimed touch, measured after `recover-touches`. A touch counts
   * from when it may be sent, even while a delivery queue holds it.
   */
  oldestDueSeconds: number;
  /** The same by workspace id, for the `PROBLEMS_REPORTED` workspaces that have waited longest. */
  oldestDueSecondsByWorkspace: Record<string, number>;
}

export const PROBLEMS_REPORTED = 50;
export const BACKLOG_COUNTED = 100_000;

/** One decision of a dry run, in readable form. */
export interface SampleDecision {
  instanceId: string;
  position: number;
  decision: string;
  reason: string;
  rule: string;
  until?: string;
}

/** The overlap lock's holder. A holder without a `run` row is known only by its server process. */
export interface LockHolder {
  readonly runId: string | null;
  readonly requestId: string | null;
  readonly pid: number;
  /** ISO 8601 UTC. */
  readonly since: string;
  /** The holder's latest possible end, ISO 8601 UTC. */
  readonly deadlineAt: string | null;
}

/** Results of the steps; null until the step begins. */
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

/** The result that a run returns, stores in `run` and logs in one line. Holds ids and counts, no personal data. */
export interface Report extends StepReports {
  statusCode: 200 | 400 | 500 | 503;
  /** Computed: no errors, and the report balances. */
  success: boolean;
  errors: string[];
  /** True if another run held the overlap lock, so only the backstop ran. */
  skipped: boolean;
  reason?: Reason;
  /** With `schema_out_of_date`: the migrations, columns or labels that the database lacks. */
  missing?: readonly string[];
  /** With `unsafe_database_settings`: each setting with the statement that fixes it. */
  unsafeSettings?: readonly string[];
  /**
   * Failed channels, for all workspaces (also an error) or for one; at most `PROBLEMS_REPORTED`. Their touches stay claimed
   * and lose no attempt.
   */
  channelFaults: readonly ChannelFault[];
  heldBy?: LockHolder;
  /** The lock was still held after its holder's deadline, so this run continued without it. */
  staleLock?: LockHolder;
  sample?: SampleDecision[];
  runId: string | null;
  trigger: Trigger;
  dryRun: boolean;
  /** Start of the run on the database's clock, ISO 8601 UTC; null if the clock could not be read. */
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

/** The report key of each step. */
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

/** Describes each imbalance of a report; empty if it balances. */
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
