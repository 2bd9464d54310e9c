import type { Decision } from "../domain/decision.ts";
import type { DigestWindow, OpenWindow } from "../domain/digest.ts";
import type { DueItem } from "../domain/due-item.ts";
import type { GuardrailLimits, MailCounts } from "../domain/guardrail.ts";
import type { Channel, GuardrailReason, PausedReason } from "../domain/labels.ts";
import type { InstanceState } from "../domain/next-state.ts";
import type { NoOffer, Offer } from "../domain/offered-slots.ts";
import type { SendFacts } from "../domain/send-times.ts";
import type { Message } from "../domain/templates.ts";
import type { OutgoingDigest, OutgoingTouch, TouchDetails } from "./channel-ports.ts";
import type { BackstopReport, EnrichmentReport } from "./step-reports.ts";

/** Database operations of the steps. Every method is safe with a concurrent run. */
export interface FollowUpStore
  extends InstanceStore,
    GuardrailStore,
    ClaimStore,
    DeliveryStore,
    LeftoverStore,
    DigestStore {}

/** Ends and resumes instances. */
interface InstanceStore {
  /** Completes every live instance of a booked lead outside post-booking sequences, in batches. */
  completeBooked(query: CompleteBooked): Promise<void>;
  /** Resumes instances whose pause for that reason is over. */
  resumePaused(reason: ResumableReason, query: BatchQuery): Promise<EnrichmentReport>;
}

/** Pauses workspaces whose mails bounce, or are reported as spam, too often. */
interface GuardrailStore {
  /** Workspaces with a bounce or complaint since their last check, the longest first; usually none. */
  findFlagged(query: Omit<BatchQuery, "limit">): Promise<readonly string[]>;
  /**
   * In one transaction: passes the counted mails of a flagged workspace to `exceeded`, pauses the workspace for the
   * returned reason, queues the digest event and clears the flag. Does not count if the workspace is paused already.
   * Undefined, and changes nothing, if another transaction checked or holds it.
   */
  checkGuardrail(query: GuardrailQuery, exceeded: ExceededLimit): Promise<GuardrailOutcome | undefined>;
}

/** Claims due steps. */
interface ClaimStore {
  /** Workspaces with due steps, oldest due first. */
  findDueWorkspaces(query: BatchQuery): Promise<readonly DueWorkspace[]>;
  /**
   * In one transaction: locks due instances, passes all of them to `plan` once, and writes the returned plans. An
   * instance without a plan stays due. `plan` is not called if nothing is due.
   */
  claimDue(query: ClaimQuery, plan: PlanCandidates): Promise<readonly ClaimedPlan[]>;
  countDue(query: BatchQuery): Promise<number>;
}

/** Starts and settles claimed touches. */
export interface DeliveryStore {
  /**
   * In one statement: moves claimed touches to `sending`, cancels those whose lead may no longer be contacted, and
   * expires those that are too old. Touches that may not be sent now stay claimed and are returned as `waiting`.
   */
  startSending(touchIds: readonly string[], lease: Lease): Promise<StartedSending>;
  /**
   * Checks the times that claimed touches offer, and replaces those that passed or were taken. An approved text that
   * thereby changes needs approval again. Leaves out touches that another transaction holds.
   */
  refreshOffers(touchIds: readonly string[], now: Date): Promise<readonly RefreshedOffer[]>;
  /** Details by touch id, for channels that need them. */
  readDetails(touchIds: readonly string[]): Promise<ReadonlyMap<string, TouchDetails>>;
  /** Facts by touch id, for the touches that are still claimed. */
  readSendFacts(touchIds: readonly string[]): Promise<ReadonlyMap<string, TouchSendFacts | UnreadableTouch>>;
  /** Stores new send times of claimed touches. */
  reschedule(touches: readonly Rescheduled[]): Promise<void>;
  /** Frees claimed touches for the next run. */
  release(touchIds: readonly string[], now: Date): Promise<void>;
  settle(settlements: readonly Settlement[], now: Date): Promise<void>;
}

/** Recovers touches that an earlier run left. */
interface LeftoverStore {
  /** True if a lease expired, a claimed touch is sendable, or an approval request outlived its time to live. */
  hasTouchesToRecover(query: Omit<BatchQuery, "limit">): Promise<boolean>;
  /** Expires touches whose time to live ended before approval, and advances their instances. Returns their number. */
  expireApprovals(query: BatchQuery): Promise<number>;
  /** Ends expired leases: touches become `claimed` again on an idempotent channel, else `unknown`. */
  expireLeases(query: BatchQuery): Promise<{ readonly unknown: number; readonly reclaimed: number }>;
  /** Sendable claimed touches: the oldest of each workspace, then the second oldest of each, and so on. */
  findLeftovers(query: BatchQuery): Promise<readonly Leftover[]>;
  /** Takes the touches that still wait and returns them in order. No other run takes them before `recheckAt`. */
  claimAgain(touchIds: readonly string[], now: Date, recheckAt: Date): Promise<readonly string[]>;
  /** Workspaces with sendable claimed touches, oldest first, including touches that a sender or queue holds. */
  findSendableWorkspaces(query: BatchQuery, recheckAt: Date): Promise<readonly SendableWorkspace[]>;
  /** Number of sendable claimed touches that no sender or queue holds, up to `limit`. */
  countSendable(query: BatchQuery): Promise<number>;
}

/** Closes digest windows, and claims and settles digests. */
interface DigestStore {
  /** True if a window has ended or a delivery is waiting. Costs two index lookups. */
  isDigestDue(query: Omit<BatchQuery, "limit">): Promise<boolean>;
  /**
   * In one transaction: passes ended windows to `close` and assigns the events of each closed window to its digest. A
   * digest has one delivery per receiver.
   */
  closeDigestWindows(query: BatchQuery, close: (open: OpenWindow) => DigestWindow): Promise<ClosedWindows>;
  /** Marks deliveries with an expired lease `unknown`: they may have been sent. Returns their number. */
  expireDigestLeases(query: BatchQuery): Promise<number>;
  /** Number of deliveries that `claimDigests` would take in total. */
  countDigests(query: Omit<BatchQuery, "limit">): Promise<number>;
  /** Moves due deliveries to `sending`, longest waiting first. */
  claimDigests(query: BatchQuery, leaseUntil: Date): Promise<readonly OutgoingDigest[]>;
  settleDigest(settlement: DigestSettlement, now: Date): Promise<void>;
}

export interface BatchQuery {
  readonly now: Date;
  readonly limit: number;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}

export interface CompleteBooked extends Omit<BatchQuery, "limit"> {
  readonly stopping: () => boolean;
  /** Updated during the work, so it is correct even after a failure. */
  readonly report: BackstopReport;
}

export interface GuardrailQuery {
  readonly workspaceId: string;
  readonly now: Date;
}

export type ExceededLimit = (mails: MailCounts, limits: GuardrailLimits) => GuardrailReason | null;

/** Without an excess: the workspace goes on, or was paused already. */
export interface GuardrailOutcome {
  readonly excess: { readonly reason: GuardrailReason; readonly text: string } | null;
}

/** Pauses that a run ends. */
export type ResumableReason = Exclude<PausedReason, "awaiting_approval">;

export interface DueWorkspace {
  readonly id: string;
  /** True if the workspace has a daily cap. */
  readonly capped: boolean;
  readonly oldestDue: Date;
}

export interface ClaimQuery {
  readonly now: Date;
  /** When another run may take up unsent touches of this claim. */
  readonly recheckAt: Date;
  /** Skips steps of these channels, for all workspaces or for one; they stay due. */
  readonly without?: readonly ClosedChannel[];
  /** Most rows per workspace. */
  readonly share: number;
  readonly workspaces: readonly ClaimedFrom[];
}

/** A workspace with the last instance that this run claimed from it. */
export interface ClaimedFrom extends Pick<DueWorkspace, "id" | "capped"> {
  readonly after: Pick<DueCandidate, "nextStepDue" | "instanceId"> | null;
}

/** A due instance, or the reason why its row does not parse. */
export interface DueCandidate {
  readonly instanceId: string;
  readonly workspaceId: string;
  readonly position: number;
  readonly nextStepDue: Date;
  readonly heldSince: Date | null;
  readonly read: { readonly item: DueItem } | { readonly fault: string };
}

export type PlanCandidates = (candidates: readonly DueCandidate[]) => readonly Plan[];

/** The decision on a candidate, and what to write. */
export interface Plan {
  readonly candidate: DueCandidate;
  readonly decision: ReportedDecision;
  /** The next state of the instance. */
  readonly state: InstanceState;
  readonly touch: NewTouch | null;
  /** True if the touch becomes `sending` with its claim, unless its workspace or sequence was switched off since. */
  readonly starts: boolean;
}

/** The part of a decision that the report shows. */
type ReportedDecision = Pick<Decision, "kind" | "reason" | "rule"> & {
  readonly detail?: string;
  readonly until?: Date;
};

export interface NewTouch {
  readonly status: "claimed" | "awaiting_approval";
  readonly stepId: string;
  readonly channel: Channel;
  readonly message: Message;
  /** The times that the message offers; absent if it offers none. */
  readonly offer?: Offer;
  /** The lead's last contact as the decision saw it. The touch waits if another was sent since. */
  readonly expectedOutboundAt: Date | null;
  /** Until when it may be sent without a new decision; null: it needs one. */
  readonly sendUntil: Date | null;
  readonly expiresAt: Date | null;
}

/** A plan that was written. */
export interface ClaimedPlan {
  readonly plan: Plan;
  /** Null if the plan has no touch, or the step was claimed before. */
  readonly touchId: string | null;
  /** The touch if it is already `sending`. */
  readonly started: OutgoingTouch | null;
}

export interface Lease {
  readonly now: Date;
  /** When the lease of a touch that is still `sending` expires. */
  readonly until: Date;
  /** Closed channels, for all workspaces or for one. Their touches wait with the reason `CHANNEL_CLOSED`. */
  readonly closed?: readonly ClosedChannel[];
}

export interface ClosedChannel {
  readonly channel: Channel;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}

/** Reason of touches that wait for a closed channel. */
export const CHANNEL_CLOSED = "channel_closed";

/** Reason of touches whose offered times must be checked before they go. */
export const OFFER_UNCHECKED = "offered_times_unchecked";
/** Reason of touches whose approved text changed, because a time that it offers is no longer free. */
export const OFFER_CHANGED = "offered_times_changed";

/**
 * - `checked`: the text is up to date.
 * - `held`: it stays claimed until it is rechecked.
 * - `returned`: it waits for approval again, with its sequence.
 * - `cancelled`: it would need approval again, but its sequence has moved on.
 * - `unknown`: the same, but an earlier attempt may have arrived.
 */
export interface RefreshedOffer {
  readonly touchId: string;
  readonly outcome: "checked" | "held" | "returned" | "cancelled" | "unknown";
  /** Why the touch does not go now. */
  readonly reason: NoOffer | "unreadable_row" | "invalid_send_times" | typeof OFFER_CHANGED | null;
  /** The workspace and the columns that a person must repair; absent if there is nothing to repair. */
  readonly fault?: UnreadableTouch;
}

export interface StartedSending {
  readonly started: readonly OutgoingTouch[];
  readonly cancelled: readonly EndedTouch[];
  readonly expired: readonly EndedTouch[];
  /** Would be cancelled or expired, but an earlier attempt may have arrived. */
  readonly unknown: readonly EndedTouch[];
  /** Still claimed: something changed since the decision to send. */
  readonly waiting: readonly EndedTouch[];
}

export interface EndedTouch {
  readonly touchId: string;
  readonly reason: string;
}

/** Facts that determine when a claimed touch may be sent. */
export interface TouchSendFacts {
  readonly workspaceId: string;
  /** True if a user paused the workspace or the instance, or deactivated the sequence. */
  readonly switchedOff: boolean;
  readonly snoozedUntil: Date | null;
  /** True if the lead's last contact was an attempt of this touch; its gap and local day then do not block it. */
  readonly triedLast: boolean;
  readonly facts: SendFacts;
}

/** A touch whose rows do not parse, with the faulty columns. */
export interface UnreadableTouch {
  readonly workspaceId: string;
  readonly fault: string;
}

export interface Rescheduled {
  readonly touchId: string;
  readonly reason: string;
  readonly nextAttemptAt: Date;
  readonly sendUntil: Date | null;
  readonly expectedOutboundAt: Date | null;
}

/** The new state of a touch or of a digest delivery after an attempt. A no-op if it is no longer `sending`. */
export type Settlement =
  | { readonly id: string; readonly status: "sent"; readonly providerId: string }
  | { readonly id: string; readonly status: "unknown"; readonly reason: string }
  | {
      readonly id: string;
      readonly status: "failed";
      readonly reason: string;
      /** The address is unreachable; settling a touch suppresses it. */
      readonly undeliverable?: true;
    }
  | {
      readonly id: string;
      /** A touch is claimed again; a digest is pending again. */
      readonly status: "retry";
      readonly reason: string;
      readonly failures: number;
      readonly nextAttemptAt: Date;
      /** The attempt does not count: no call was started, or the channel failed. */
      readonly attemptUnused?: true;
      /** Touches only. */
      readonly deferredSince?: Date;
      /** The request was sent, but no answer confirms the outcome. Idempotent channels only. */
      readonly mayHaveArrived?: true;
    };

export interface Leftover {
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: Channel;
}

export interface SendableWorkspace {
  readonly id: string;
  /** Since when its oldest touch may be sent. */
  readonly since: Date;
}

export interface ClosedWindows {
  /** Workspaces checked. */
  readonly checked: number;
  /** Closed windows without events or without receivers. */
  readonly skipped: number;
}

/** A digest without a receiver is skipped. */
export type DigestSettlement =
  | Settlement
  | { readonly id: string; readonly status: "skipped"; readonly reason: string };
