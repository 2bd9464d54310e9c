export interface BatchQuery {
  readonly now: Date;
  readonly limit: number;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}

/** What a provider made of a touch or a digest. Reasons are labels without personal data. */
export type SendOutcome =
  | { readonly kind: "accepted"; readonly providerId: string }
  | Refused
  | Retry
  /** It may have gone out: never sent again blindly. */
  | { readonly kind: "unknown"; readonly reason: string }
  | ChannelDown;

/** For good: sending it again would be refused again. */
export interface Refused {
  readonly kind: "refused";
  readonly reason: string;
  /** The provider says that nothing can reach this address or number, whatever is sent. */
  readonly undeliverable?: true;
  /** Refused before the provider was asked, so that it says nothing about the channel. */
  readonly notAsked?: true;
}

/** For now: nothing went out, or the receiver acts once on the same message; a later attempt may succeed. */
export interface Retry {
  readonly kind: "retry";
  readonly reason: string;
  /** The request left, and no answer tells whether it arrived. */
  readonly mayHaveArrived?: true;
  readonly throttled?: Throttled;
  /** Set by the pace of a channel, never by the channel: no call was begun. */
  readonly notBegun?: true;
}

/** A fault of the channel, not of what was sent: other messages would fare the same. */
export interface ChannelDown {
  readonly kind: "channel_down";
  readonly reason: string;
  /** Whose messages fare the same: everybody's, or those of one workspace, whose sender or account it is. */
  readonly scope: FaultScope;
  /** As in `Retry`. */
  readonly mayHaveArrived?: true;
  /** What it is instead if the channel takes another message of the same scope afterwards; absent: a fault anyhow. */
  readonly otherwise?: Refused | Retry;
  readonly throttled?: Throttled;
  /** Set by the pace of a channel, never by the channel: no call was begun. */
  readonly notBegun?: true;
}

export type FaultScope = "channel" | "workspace";

/** The provider says that it gets too much at once: whoever sends through it should slow down. */
export interface Throttled {
  /** How long it asks to be left alone; null where it does not say. Never negative, and at most an hour. */
  readonly retryAfterMs: number | null;
  /** The answer may be about this receiver alone, and last: a touch that gets it for a day fails. */
  readonly ofReceiver?: true;
}
