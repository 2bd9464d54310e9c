import type { FaultScope, SendOutcome, Throttled } from "../run/port-types.ts";

/** What an answer of a provider says. The tables of the providers map their answers to it. */
export type Meaning =
  | {
      /** No message of that scope is taken. */
      readonly means: "down";
      readonly scope: FaultScope;
      /** What it was for this message alone if the provider takes another one of that scope afterwards. */
      readonly unless?: "refused" | "retry";
      /** It gets too much as well. */
      readonly slow?: true;
      /** The request left, and no answer tells whether it arrived. */
      readonly lost?: true;
    }
  /** It gets too much. `waitMs`: how long it asks to be left alone, null where it does not say. */
  | ({ readonly means: "slow"; readonly waitMs: number | null } & Pick<Throttled, "ofReceiver">)
  /** Nothing can reach the receiver. */
  | { readonly means: "undeliverable" }
  /** This message is refused for good. */
  | { readonly means: "refused" }
  /** It did not take the message for now. */
  | { readonly means: "retry" }
  /** It may have taken the message. */
  | { readonly means: "unknown" };

export function outcomeOfMeaning(meaning: Meaning, reason: string): SendOutcome {
  switch (meaning.means) {
    case "undeliverable":
      return { kind: "refused", reason, undeliverable: true };
    case "slow": {
      const { waitMs: retryAfterMs, ofReceiver } = meaning;
      return { kind: "retry", reason, throttled: { retryAfterMs, ...(ofReceiver && { ofReceiver }) } };
    }
    case "down": {
      const { scope, unless, slow, lost } = meaning;
      const arrival = lost && { mayHaveArrived: lost };
      return {
        kind: "channel_down",
        scope,
        reason,
        ...arrival,
        ...(unless && {
          otherwise: unless === "retry" ? { kind: unless, reason, ...arrival } : { kind: unless, reason },
        }),
        ...(slow && { throttled: { retryAfterMs: null } }),
      };
    }
    default:
      return { kind: meaning.means, reason };
  }
}
