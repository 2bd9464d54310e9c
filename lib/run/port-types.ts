export interface BatchQuery {
  readonly now: Date;
  readonly limit: number;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}

/** What a provider made of a touch or a digest. */
export type SendOutcome =
  | { readonly kind: "accepted"; readonly providerId: string }
  /** For good: sending it again would be refused again. */
  | { readonly kind: "refused"; readonly reason: string }
  /** For now: nothing went out, and a later attempt may. */
  | {
      readonly kind: "retry";
      readonly reason: string;
      readonly throttled?: Throttled;
      /** Said by the pace of a channel, never by the channel: no call was begun. */
      readonly notBegun?: true;
    }
  /** It may have gone out: never sent again blindly. */
  | { readonly kind: "unknown"; readonly reason: string };

/** The provider says that it gets too much at once: whoever sends through it should slow down. */
export interface Throttled {
  /** How long it asks to be left alone; null where it does not say. Never negative, and at most an hour. */
  readonly retryAfterMs: number | null;
}
