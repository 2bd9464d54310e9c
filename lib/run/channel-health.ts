import type { Channel } from "../domain/labels.ts";
import type { ChannelDown, FaultScope, Retry, SendOutcome } from "./port-types.ts";

/** Consecutive faults that close a scope: about the number of sends in flight. */
const FAULTS_IN_A_ROW = 10;
/** A retry-after of at least this pauses the channel for the rest of the run. */
const LONGER_THAN_A_RUN_MS = 60_000;

/** A touch, or a digest that uses the same channel. */
export interface Sent {
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: Channel;
}

/** A channel that fails, for one workspace if `workspaceId` is set. */
export interface ChannelFault {
  readonly channel: Channel;
  readonly workspaceId: string | null;
  readonly reason: string;
}

interface ScopeState {
  faultsInARow: number;
  /** The last fault's reason. */
  reason: string;
  /** Sequence number of the provider's last answer about a single message; 0: none. */
  answeredAt: number;
  /** A requested pause of at least `LONGER_THAN_A_RUN_MS`. */
  pause: Retry | null;
}

/**
 * Circuit breaker of one invocation: tracks which channels fail, for all workspaces or for one. An answer about a
 * single message proves that the channel works. Each run starts with a new instance, so faults clear by themselves.
 */
export class ChannelHealth {
  readonly #scopes = new Map<string, ScopeState & Omit<ChannelFault, "reason">>();
  readonly #faultAt = new Map<string, number>();
  #moment = 0;

  /** Records the provider's answer. */
  note(sent: Sent, outcome: SendOutcome): void {
    this.#moment += 1;
    if (outcome.kind === "channel_down") {
      const state = this.#scope(sent, outcome.scope);
      state.faultsInARow += 1;
      state.reason = outcome.reason;
      this.#faultAt.set(sent.id, this.#moment);
    } else if (outcome.kind === "accepted" || (outcome.kind === "refused" && !outcome.notAsked)) {
      for (const state of [this.#scope(sent, "channel"), this.#scope(sent, "workspace")]) {
        Object.assign(state, { faultsInARow: 0, answeredAt: this.#moment });
      }
    } else if (outcome.kind === "retry" && (outcome.throttled?.retryAfterMs ?? 0) >= LONGER_THAN_A_RUN_MS) {
      this.#scope(sent, "channel").pause = outcome;
    }
  }

  /** Returns the outcome of a message whose channel is closed, or null if the message may be sent. */
  closed(sent: Omit<Sent, "id">): ChannelDown | Retry | null {
    for (const scope of ["channel", "workspace"] as const) {
      const state = this.#scopes.get(keyOf(sent, scope));
      if (state?.pause) return { ...state.pause, notBegun: true };
      if (state && isClosed(state)) return { kind: "channel_down", scope, reason: state.reason, notBegun: true };
    }
    return null;
  }

  /** True if the provider answered another message of that scope after this fault: the fault is the message's own. */
  tookAnother(sent: Sent, { scope }: ChannelDown): boolean {
    const answeredAt = this.#scopes.get(keyOf(sent, scope))?.answeredAt ?? 0;
    return answeredAt > (this.#faultAt.get(sent.id) ?? Number.POSITIVE_INFINITY);
  }

  /** Scopes in which this invocation sends nothing more. */
  closedScopes(): readonly Omit<ChannelFault, "reason">[] {
    return [...this.#scopes.values()].filter((state) => state.pause !== null || isClosed(state));
  }

  /**
   * Scopes that need attention: only faults, or too many in a row. A workspace's fault counts as the channel's if the
   * channel answered no message at all.
   */
  faults(): readonly ChannelFault[] {
    const found = [...this.#scopes.values()].filter(
      (state) => isClosed(state) || (state.faultsInARow > 0 && state.answeredAt === 0),
    );
    const faults = found.map(({ channel, workspaceId, reason }) => {
      const dead = (this.#scopes.get(channel)?.answeredAt ?? 0) === 0;
      return { channel, workspaceId: dead ? null : workspaceId, reason };
    });
    return [...new Map(faults.map((fault) => [`${fault.channel} ${fault.workspaceId}`, fault])).values()];
  }

  #scope(sent: Sent, scope: FaultScope): ScopeState & Omit<ChannelFault, "reason"> {
    const key = keyOf(sent, scope);
    const state = this.#scopes.get(key) ?? {
      channel: sent.channel,
      workspaceId: scope === "channel" ? null : sent.workspaceId,
      faultsInARow: 0,
      reason: "",
      answeredAt: 0,
      pause: null,
    };
    this.#scopes.set(key, state);
    return state;
  }
}

const keyOf = ({ channel, workspaceId }: Omit<Sent, "id">, scope: FaultScope): string =>
  scope === "channel" ? channel : `${channel} ${workspaceId}`;

const isClosed = ({ faultsInARow }: ScopeState): boolean => faultsInARow >= FAULTS_IN_A_ROW;
