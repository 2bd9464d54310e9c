import type { Channel } from "../domain/labels.ts";
import type { NoOffer } from "../domain/offered-slots.ts";
import type { SendFacts } from "../domain/send-times.ts";
import type { OutgoingTouch, TouchDetails } from "./channel-ports.ts";
import type { BatchQuery, ClosedChannel } from "./claim-ports.ts";

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
export interface LeftoverStore {
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

export interface Lease {
  readonly now: Date;
  /** When the lease of a touch that is still `sending` expires. */
  readonly until: Date;
  /** Closed channels, for all workspaces or for one. Their touches wait with the reason `CHANNEL_CLOSED`. */
  readonly closed?: readonly ClosedChannel[];
}

/** A worker cut off at its deadline has certainly ended this much later. */
const AFTER_THE_DEADLINE_MS = 60_000;

/** Returns when an invocation with that much time left has certainly ended. */
export const leaseOf = ({ remainingMs }: { readonly remainingMs: () => number }, now: Date): Date =>
  new Date(now.getTime() + remainingMs() + AFTER_THE_DEADLINE_MS);

/** The touches of a claim that are still to be sent. */
export interface ClaimedTouches {
  /** Touches that are already `sending`; at most one group. */
  readonly started: readonly OutgoingTouch[];
  readonly touchIds: readonly string[];
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
