import type { GuardrailReason } from "../domain/labels.ts";

export interface BackstopReport {
  completedCount: number;
  cancelledTouches: number;
  /**
   * Longest time from a booking to the completion of an instance, in seconds; for a live instance, to now. 0 if there
   * was nothing to complete.
   */
  slowestSeconds: number;
  /**
   * How late a booking without a webhook may be known: the age of the oldest comparison with a booking tool, for meetings
   * that start soon. Null without a connection.
   */
  sweepAgeSeconds: number | null;
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

export interface GuardrailReport {
  /** Workspaces with a new bounce or complaint, whose mails were counted or that were paused already. */
  checked: number;
  paused: number;
  /** Why, by workspace id; of at most `PROBLEMS_REPORTED`. */
  byWorkspace: Record<string, GuardrailReason>;
}

export interface DeliveryReport {
  sent: number;
  /** Still claimed: waiting for a retry, or not started in this run. */
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
  /** Touches whose sender died. They may have been sent; a person must check. */
  unknown: number;
  /** Touches whose sender died on an idempotent channel: claimed again. */
  reclaimed: number;
  /** Claimed touches taken up: due retries, and touches that a dead run left. */
  takenUp: number;
  /** Outcomes of `takenUp`; null in a dry run. */
  delivery: DeliveryReport | null;
}

/** A row that needs attention. `detail` names the fault and holds no personal data. */
export interface ReportedProblem {
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
  problems: ReportedProblem[];
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

export const nothingCompleted = (): BackstopReport => ({
  completedCount: 0,
  cancelledTouches: 0,
  slowestSeconds: 0,
  sweepAgeSeconds: null,
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
