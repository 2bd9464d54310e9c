import type { Channel } from "../domain/labels.ts";
import type { SendFacts } from "../domain/send-times.ts";
import type { Message } from "../domain/templates.ts";
import type { SendOutcome } from "./port-types.ts";

/** What sending claimed touches asks of the database. Every method is safe beside a second run. */
export interface DeliveryStore {
  /**
   * In one statement: moves claimed touches to `sending`, or ends those whose lead may no longer be contacted or that are
   * too old. What may not go now is left claimed and told.
   */
  startSending(touchIds: readonly string[], lease: Lease): Promise<StartedSending>;
  /** By the id of the touch, of those that are still claimed. */
  readSendFacts(touchIds: readonly string[]): Promise<ReadonlyMap<string, TouchSendFacts | UnreadableTouch>>;
  /** Writes down when claimed touches may go, after it was decided anew. */
  reschedule(touches: readonly Rescheduled[]): Promise<void>;
  /** Leaves claimed touches to whoever looks next. */
  release(touchIds: readonly string[], now: Date): Promise<void>;
  settle(settlements: readonly Settlement[], now: Date): Promise<void>;
}

export interface Lease {
  readonly now: Date;
  /** When a touch that is still `sending` is nobody's any more. */
  readonly until: Date;
  /** Channels that take nothing at the moment, of all workspaces or of one. Their touches wait, `CHANNEL_CLOSED`. */
  readonly closed?: readonly ClosedChannel[];
}

export interface ClosedChannel {
  readonly channel: Channel;
  /** Null: of every workspace. */
  readonly workspaceId: string | null;
}

/** Why a touch waits whose channel takes nothing. */
export const CHANNEL_CLOSED = "channel_closed";

export interface StartedSending {
  readonly started: readonly OutgoingTouch[];
  readonly cancelled: readonly EndedTouch[];
  readonly expired: readonly EndedTouch[];
  /** Would be cancelled or expired, but an earlier attempt may have arrived. */
  readonly unknown: readonly EndedTouch[];
  /** Still claimed: something has changed since it was decided that they may go. */
  readonly waiting: readonly EndedTouch[];
}

export interface EndedTouch {
  readonly touchId: string;
  readonly reason: string;
}

/** What decides when a claimed touch may go. */
export interface TouchSendFacts {
  readonly workspaceId: string;
  /** Not the rules' own: a person has switched something off. */
  readonly switchedOff: boolean;
  readonly snoozedUntil: Date | null;
  /** The last that reached for the lead was an attempt of its own, so that the gap and the channel's local day are too. */
  readonly triedLast: boolean;
  readonly facts: SendFacts;
}

/** A touch whose rows do not parse, with the columns and what is wrong with them. */
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

/** A touch whose moment has come, with what its channel needs. */
export interface OutgoingTouch {
  readonly id: string;
  readonly workspaceId: string;
  readonly leadId: string;
  readonly channel: Channel;
  /** Attempts that failed for now. */
  readonly failures: number;
  /** Since when its receiver's server has put it off; null: it has not. */
  readonly deferredSince: Date | null;
  /** Since when it may go: a send that is not begun does not make it younger. */
  readonly waitingSince: Date;
  readonly from: string;
  readonly email: string | null;
  readonly phone: string | null;
  readonly message: Message;
  /** The Message-IDs of the e-mails that this instance sent the lead before, in angle brackets, oldest first. */
  readonly thread: readonly string[];
}

export interface MessageChannel {
  /** Sends a touch. Answers with what became of it; throws only on a bug, which counts as unknown. */
  send(touch: OutgoingTouch): Promise<SendOutcome>;
}

export type Settlement =
  | { readonly touchId: string; readonly status: "sent"; readonly providerId: string }
  | { readonly touchId: string; readonly status: "unknown"; readonly reason: string }
  | {
      readonly touchId: string;
      readonly status: "failed";
      readonly reason: string;
      /** Nothing can reach the address that it went to: that is suppressed with it. */
      readonly undeliverable?: true;
    }
  | {
      readonly touchId: string;
      readonly status: "claimed";
      readonly reason: string;
      readonly failures: number;
      readonly nextAttemptAt: Date;
      /** Its attempt does not count: no call was begun, or the channel took nothing from anybody. */
      readonly attemptUnused?: true;
      readonly deferredSince?: Date;
      /** The request left and no answer told what became of it. Only on channels that act once on the same touch. */
      readonly mayHaveArrived?: true;
    };

/** Where touches go that other invocations send. Messages carry ids only; a lost or doubled one is harmless. */
export interface DeliveryQueue {
  /** Answers those that it did not take, and why, by the names of the faults. */
  enqueue(
    touchIds: readonly string[],
  ): Promise<{ readonly refused: readonly string[]; readonly faults: readonly string[] }>;
}
