import type { Channel } from "../domain/labels.ts";
import type { SendFacts } from "../domain/send-times.ts";
import type { Message } from "../domain/templates.ts";
import type { SendOutcome } from "./port-types.ts";

/** Database operations of delivery. Every method is safe with a concurrent run. */
export interface DeliveryStore {
  /**
   * In one statement: moves claimed touches to `sending`, cancels those whose lead may no longer be contacted, and
   * expires those that are too old. Touches that may not be sent now stay claimed and are returned as `waiting`.
   */
  startSending(touchIds: readonly string[], lease: Lease): Promise<StartedSending>;
  /** Facts by touch id, for the touches that are still claimed. */
  readSendFacts(touchIds: readonly string[]): Promise<ReadonlyMap<string, TouchSendFacts | UnreadableTouch>>;
  /** Stores new send times of claimed touches. */
  reschedule(touches: readonly Rescheduled[]): Promise<void>;
  /** Frees claimed touches for the next run. */
  release(touchIds: readonly string[], now: Date): Promise<void>;
  settle(settlements: readonly Settlement[], now: Date): Promise<void>;
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

/** A touch to send now, with the data that its channel needs. */
export interface OutgoingTouch {
  readonly id: string;
  readonly workspaceId: string;
  readonly leadId: string;
  readonly channel: Channel;
  /** Attempts that failed with a transient error. */
  readonly failures: number;
  /** Since when the receiver's server defers it; null: it does not. */
  readonly deferredSince: Date | null;
  /** Since when it may be sent. A send that is not begun does not reset it. */
  readonly waitingSince: Date;
  readonly from: string;
  readonly email: string | null;
  readonly phone: string | null;
  readonly message: Message;
  /** Message-IDs of the instance's earlier e-mails to the lead, in angle brackets, oldest first. */
  readonly thread: readonly string[];
}

export interface MessageChannel {
  /** Sends a touch and returns the outcome. Throws only on a bug. */
  send(touch: OutgoingTouch): Promise<SendOutcome>;
}

export type Settlement =
  | { readonly touchId: string; readonly status: "sent"; readonly providerId: string }
  | { readonly touchId: string; readonly status: "unknown"; readonly reason: string }
  | {
      readonly touchId: string;
      readonly status: "failed";
      readonly reason: string;
      /** The address is unreachable; settling suppresses it. */
      readonly undeliverable?: true;
    }
  | {
      readonly touchId: string;
      readonly status: "claimed";
      readonly reason: string;
      readonly failures: number;
      readonly nextAttemptAt: Date;
      /** The attempt does not count: no call was begun, or the channel failed. */
      readonly attemptUnused?: true;
      readonly deferredSince?: Date;
      /** The request was sent, but no answer confirms the outcome. Idempotent channels only. */
      readonly mayHaveArrived?: true;
    };

/** Queue of touches for other invocations to send. Messages carry ids only; lost or duplicate ones are harmless. */
export interface DeliveryQueue {
  /** Returns the touches that were not accepted, and the names of the faults. */
  enqueue(
    touchIds: readonly string[],
  ): Promise<{ readonly refused: readonly string[]; readonly faults: readonly string[] }>;
}
