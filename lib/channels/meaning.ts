import type { FaultScope, SendOutcome, Throttled } from "../run/channel-ports.ts";

/** The meaning of a provider's response. Each provider's table maps responses to it. */
export type Meaning =
  | {
      /** The provider accepts no message in this scope. */
      readonly means: "down";
      readonly scope: FaultScope;
      /** The outcome for this message alone, if the provider then accepts another message in the scope. */
      readonly unless?: "refused" | "retry";
      /** The provider also throttles. */
      readonly slow?: true;
      /** The request was sent, but no response says whether it arrived. */
      readonly lost?: true;
    }
  /** Throttled. `waitMs` is the wait that the provider requests, or null. */
  | ({ readonly means: "slow"; readonly waitMs: number | null } & Pick<Throttled, "ofReceiver">)
  /** No message can reach the receiver. */
  | { readonly means: "undeliverable" }
  /** The provider permanently refuses this message. */
  | { readonly means: "refused" }
  /** A transient error: the provider did not accept the message, or accepted it in an earlier attempt (`lost`). */
  | { readonly means: "retry"; readonly lost?: true }
  /** The provider may have accepted the message. */
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
    case "retry":
      return { kind: "retry", reason, ...(meaning.lost && { mayHaveArrived: true }) };
    default:
      return { kind: meaning.means, reason };
  }
}
