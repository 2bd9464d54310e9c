import type { DigestContents } from "../domain/digest.ts";
import type { Channel, DigestChannel } from "../domain/labels.ts";
import type { LeadKey } from "../domain/lead-columns.ts";
import type { LeadFields } from "../domain/lead-fields.ts";
import type { OwnSender } from "../domain/sender.ts";
import type { Message } from "../domain/templates.ts";

export interface MessageChannel {
  /** Sends a touch and returns the outcome. Throws only on a bug. */
  send(touch: OutgoingTouch): Promise<SendOutcome>;
}

/** The channel of each name. */
export type Channels = Readonly<Record<Channel, MessageChannel>>;

export interface DigestSender {
  /** Sends a digest to its receiver and returns the outcome. Throws only on a bug, which counts as `unknown`. */
  send(digest: OutgoingDigest, to: string): Promise<SendOutcome>;
}

/** Queue of touches for other invocations to send. Messages carry ids only; lost or duplicate ones are harmless. */
export interface DeliveryQueue {
  /** Returns the touches that were not accepted, and the names of the faults. */
  enqueue(
    touchIds: readonly string[],
  ): Promise<{ readonly refused: readonly string[]; readonly faults: readonly string[] }>;
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
  /** Since when it may be sent. A send that is not started does not reset it. */
  readonly waitingSince: Date;
  /** The workspace's sender, which the lead's own one overrides. */
  readonly from: string;
  readonly ownSender: OwnSender;
  readonly email: string | null;
  readonly phone: string | null;
  readonly message: Message;
  /** Message-IDs of the instance's earlier e-mails to the lead, in angle brackets, oldest first. */
  readonly thread: readonly string[];
  /** The link with which the receiver unsubscribes. Always set on mails of a deployment with such links. */
  readonly unsubscribeUrl?: string;
  /** Set on channels whose registry entry says `needsDetails`. */
  readonly details?: TouchDetails;
}

/** The data with which a receiver delivers a touch itself, or finds the lead in another system. */
export interface TouchDetails {
  /** The number of the current attempt, from 1. Attempts that a channel fault ended do not count. */
  readonly attempt: number;
  readonly workspaceName: string;
  /** All lead columns and the custom fields, as stored. */
  readonly lead: Readonly<Record<LeadKey, string | null>> & { readonly fields: LeadFields };
  readonly sequence: { readonly id: string; readonly name: string };
  readonly step: { readonly key: string; readonly position: number };
}

/** A due digest for one receiver. */
export interface OutgoingDigest {
  /** Id of the delivery; the same on every attempt for the same digest and receiver. */
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: DigestChannel;
  /** Attempts that failed with a transient error. */
  readonly failures: number;
  readonly from: string;
  /** An e-mail address or a URL, which is a secret; null if the receiver was removed. */
  readonly to: string | null;
  readonly contents: DigestContents;
}

/** The result of sending a touch or a digest. Reasons are labels without personal data. */
export type SendOutcome =
  | { readonly kind: "accepted"; readonly providerId: string }
  | Refused
  | Retry
  /** It may have been sent, so it is not retried. */
  | { readonly kind: "unknown"; readonly reason: string }
  | ChannelDown;

/** Permanent: a retry would be refused again. */
interface Refused {
  readonly kind: "refused";
  readonly reason: string;
  /** The provider says that the address or number is unreachable for any message. */
  readonly undeliverable?: true;
  /** Refused before the provider was called, so it says nothing about the channel. */
  readonly notAsked?: true;
}

/** Transient error. Nothing was sent, or the receiver deduplicates; a later attempt may succeed. */
export interface Retry {
  readonly kind: "retry";
  readonly reason: string;
  /** The request was sent, but no answer confirms whether it arrived. */
  readonly mayHaveArrived?: true;
  readonly throttled?: Throttled;
  /** No call was started. Set by the concurrency limit, never by the channel. */
  readonly notStarted?: true;
}

/** A fault of the channel, not of the message: other messages would fail the same way. */
export interface ChannelDown {
  readonly kind: "channel_down";
  readonly reason: string;
  /** Affected messages: all, those of the workspace that owns the sender or account, or those of a lead's own sender. */
  readonly scope: FaultScope;
  /** As in `Retry`. */
  readonly mayHaveArrived?: true;
  /** The outcome if the channel later accepts another message of the same scope; absent: still a channel fault. */
  readonly otherwise?: Refused | Retry;
  readonly throttled?: Throttled;
  /** No call was started. Set by the concurrency limit, never by the channel. */
  readonly notStarted?: true;
}

export type FaultScope = "channel" | "workspace" | "sender";

/** The provider enforces a rate limit; the sender must slow down. */
export interface Throttled {
  /** The requested pause, 0 to one hour; null if the provider gives none. */
  readonly retryAfterMs: number | null;
  /** The limit may apply to this receiver alone and may last. A touch deferred for a day fails. */
  readonly ofReceiver?: true;
}
