export interface BatchQuery {
  readonly now: Date;
  readonly limit: number;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
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
export interface Refused {
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
  /** No call was begun. Set by the concurrency limit, never by the channel. */
  readonly notStarted?: true;
}

/** A fault of the channel, not of the message: other messages would fail the same way. */
export interface ChannelDown {
  readonly kind: "channel_down";
  readonly reason: string;
  /** Affected messages: all, or those of the workspace that owns the sender or account. */
  readonly scope: FaultScope;
  /** As in `Retry`. */
  readonly mayHaveArrived?: true;
  /** The outcome if the channel later accepts another message of the same scope; absent: still a channel fault. */
  readonly otherwise?: Refused | Retry;
  readonly throttled?: Throttled;
  /** No call was begun. Set by the concurrency limit, never by the channel. */
  readonly notStarted?: true;
}

export type FaultScope = "channel" | "workspace";

/** The provider enforces a rate limit; the sender must slow down. */
export interface Throttled {
  /** The requested pause, 0 to one hour; null if the provider gives none. */
  readonly retryAfterMs: number | null;
  /** The limit may apply to this receiver alone and may last. A touch deferred for a day fails. */
  readonly ofReceiver?: true;
}
