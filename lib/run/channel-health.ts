import type { Channel } from "../domain/labels.ts";
import type { OwnSender } from "../domain/sender.ts";
import type { ChannelDown, FaultScope, Retry, SendOutcome } from "./channel-ports.ts";

/** Consecutive faults that close a scope: about the number of sends in flight. */
const FAULTS_IN_A_ROW = 10;
/** A retry-after of at least this pauses the channel for the rest of the run. */
const LONGER_THAN_A_RUN_MS = 60_000;

/** A touch, or a digest that uses the same channel. */
export interface Sent {
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: Channel;
  /** Absent for a digest, which has the workspace's sender. */
  readonly ownSender?: Pick<OwnSender, "senderEmail">;
}

/** A channel that fails, for one workspace if `workspaceId` is set. */
export interface ChannelFault {
  readonly channel: Channel;
  readonly workspaceId: string | null;
  readonly reason: string;
  /** Only mails from leads' own senders fail. */
  readonly ofLeadSender?: true;
}

interface ScopeState extends Omit<ChannelFault, "reason"> {
  faultsInARow: number;
  /** The last fault's reason. */
  reason: string;
  /** Number of the provider's last answer about a single message; 0: none. */
  lastAnswer: number;
  /** A requested pause of at least `LONGER_THAN_A_RUN_MS`. */
  pause: Retry | null;
}

/**
 * Circuit breaker of one invocation: tracks which channels fail, for all workspaces or for one. An answer about a
 * single message proves that the channel works. Each run starts with a new instance, so faults clear by themselves.
 */
export class ChannelHealth {
  /** Keyed by channel, then by `keyOf`. */
  readonly #scopes = new Map<Channel, Map<string | null, ScopeState>>();
  /** The number of the last fault, by message id. */
  readonly #lastFault = new Map<string, number>();
  /** Numbers answers and faults in their order. */
  #outcomes = 0;
  /** While nothing has failed, `closed` costs nothing: a run calls it several times per touch. */
  #hasFailed = false;

  /** Records the provider's answer. */
  note(sent: Sent, outcome: SendOutcome): void {
    this.#outcomes += 1;
    if (outcome.kind === "channel_down") {
      const state = this.#scope(sent, outcome.scope);
      this.#hasFailed = true;
      state.faultsInARow += 1;
      state.reason = outcome.reason;
      this.#lastFault.set(sent.id, this.#outcomes);
    } else if (outcome.kind === "accepted" || (outcome.kind === "refused" && !outcome.notAsked)) {
      for (const scope of scopesOf(sent)) {
        const state = this.#scope(sent, scope);
        state.faultsInARow = 0;
        state.lastAnswer = this.#outcomes;
      }
    } else if (outcome.kind === "retry" && (outcome.throttled?.retryAfterMs ?? 0) >= LONGER_THAN_A_RUN_MS) {
      this.#hasFailed = true;
      this.#scope(sent, "channel").pause = outcome;
    }
  }

  /** Returns the outcome of a message whose channel is closed, or null if the message may be sent. */
  closed(sent: Omit<Sent, "id">): ChannelDown | Retry | null {
    if (!this.#hasFailed) return null;
    for (const scope of scopesOf(sent)) {
      const state = this.#known(sent, scope);
      if (state?.pause) return { ...state.pause, notStarted: true };
      if (state && isClosed(state)) return { kind: "channel_down", scope, reason: state.reason, notStarted: true };
    }
    return null;
  }

  /** True if the provider answered another message of that scope after this fault: the fault is the message's own. */
  answeredAnother(sent: Sent, { scope }: ChannelDown): boolean {
    const lastAnswer = this.#known(sent, scope)?.lastAnswer ?? 0;
    return lastAnswer > (this.#lastFault.get(sent.id) ?? Number.POSITIVE_INFINITY);
  }

  /** Channels and workspaces in which this invocation sends nothing more. `closed` also covers senders. */
  closedScopes(): readonly Omit<ChannelFault, "reason">[] {
    return this.#all().filter((state) => !state.ofLeadSender && (state.pause !== null || isClosed(state)));
  }

  /**
   * Scopes that need attention: only faults, or too many in a row. A workspace's fault counts as the channel's if the
   * channel answered no message at all.
   */
  faults(): readonly ChannelFault[] {
    const found = this.#all().filter((state) => isClosed(state) || (state.faultsInARow > 0 && state.lastAnswer === 0));
    const faults = found.map(({ channel, workspaceId, reason, ofLeadSender }) => {
      if (ofLeadSender) return { channel, workspaceId, reason, ofLeadSender };
      const dead = (this.#scopes.get(channel)?.get(null)?.lastAnswer ?? 0) === 0;
      return { channel, workspaceId: dead ? null : workspaceId, reason };
    });
    const keyed = faults.map(
      (fault) => [`${fault.channel} ${fault.workspaceId} ${fault.ofLeadSender}`, fault] as const,
    );
    return [...new Map(keyed).values()];
  }

  #all(): readonly ScopeState[] {
    return [...this.#scopes.values()].flatMap((states) => [...states.values()]);
  }

  #known(sent: Omit<Sent, "id">, scope: FaultScope): ScopeState | undefined {
    return this.#scopes.get(sent.channel)?.get(keyOf(sent, scope));
  }

  #scope(sent: Sent, scope: FaultScope): ScopeState {
    const known = this.#known(sent, scope);
    if (known) return known;
    const { channel } = sent;
    const workspaceId = scope === "channel" ? null : sent.workspaceId;
    const state: ScopeState = {
      channel,
      workspaceId,
      faultsInARow: 0,
      reason: "",
      lastAnswer: 0,
      pause: null,
      ...(scope === "sender" && { ofLeadSender: true }),
    };
    const states = this.#scopes.get(channel) ?? new Map<string | null, ScopeState>();
    this.#scopes.set(channel, states.set(keyOf(sent, scope), state));
    return state;
  }
}

const SHARED: readonly FaultScope[] = ["channel", "workspace"];
const WITH_SENDER: readonly FaultScope[] = [...SHARED, "sender"];

const scopesOf = ({ ownSender }: Omit<Sent, "id">): readonly FaultScope[] =>
  ownSender?.senderEmail ? WITH_SENDER : SHARED;

/** Null for the channel, the id of the workspace, or the workspace and the sender's address. */
function keyOf({ workspaceId, ownSender }: Omit<Sent, "id">, scope: FaultScope): string | null {
  if (scope === "channel") return null;
  return scope === "workspace" ? workspaceId : `${workspaceId} ${ownSender?.senderEmail}`;
}

const isClosed = ({ faultsInARow }: ScopeState): boolean => faultsInARow >= FAULTS_IN_A_ROW;
