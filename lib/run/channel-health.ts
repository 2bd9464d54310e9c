import type { Channel } from "../domain/labels.ts";
import type { ChannelDown, FaultScope, Retry, SendOutcome } from "./port-types.ts";

/** So many faults in a row, and nothing more is sent in that scope: about what is under way at once. */
const FAULTS_IN_A_ROW = 10;
/** A provider that asks for more than the time of a run gets no more from this one. */
const LONGER_THAN_A_RUN_MS = 60_000;

/** What is sent: a touch, or a digest that goes the same way. */
export interface Sent {
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: Channel;
}

/** A channel that took nothing; of one workspace where `workspaceId` is set. */
export interface ChannelFault {
  readonly channel: Channel;
  readonly workspaceId: string | null;
  readonly reason: string;
}

interface ScopeState {
  faultsInARow: number;
  /** Of the last fault. */
  reason: string;
  /** When the provider last took or refused a message on its own account; 0: never. */
  answeredAt: number;
  /** The pause that the provider asked for, where it is longer than a run. */
  pause: Retry | null;
}

/**
 * What this invocation knows about its channels: which are at fault as a whole, and which for one workspace. An answer that
 * is about one message shows that the channel works. Begins anew with each run, so that a fault clears by itself.
 */
export class ChannelHealth {
  readonly #scopes = new Map<string, ScopeState & Omit<ChannelFault, "reason">>();
  readonly #faultAt = new Map<string, number>();
  #moment = 0;

  /** Notes what the provider answered. */
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

  /** What becomes of a message that is not begun, as its channel takes none; null where it may. */
  closed(sent: Omit<Sent, "id">): ChannelDown | Retry | null {
    for (const scope of ["channel", "workspace"] as const) {
      const state = this.#scopes.get(keyOf(sent, scope));
      if (state?.pause) return { ...state.pause, notBegun: true };
      if (state && isClosed(state)) return { kind: "channel_down", scope, reason: state.reason, notBegun: true };
    }
    return null;
  }

  /** Whether the provider answered another message of that scope after this one, so that the fault is this one's own. */
  tookAnother(sent: Sent, { scope }: ChannelDown): boolean {
    const answeredAt = this.#scopes.get(keyOf(sent, scope))?.answeredAt ?? 0;
    return answeredAt > (this.#faultAt.get(sent.id) ?? Number.POSITIVE_INFINITY);
  }

  /** Where nothing more is sent by this invocation. */
  closedScopes(): readonly Omit<ChannelFault, "reason">[] {
    return [...this.#scopes.values()].filter((state) => state.pause !== null || isClosed(state));
  }

  /**
   * What a person has to look at: a scope in which nothing but faults came, or too many in a row. A fault that hits
   * workspaces is one of the channel where that answered nobody.
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
