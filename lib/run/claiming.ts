import { CHANNELS, type Channel } from "../domain/labels.ts";
import type { ClosedChannel, OutgoingTouch } from "./delivery-ports.ts";
import type { Seen, Turn } from "./fair-share.ts";
import { type DecidedPlan, planner } from "./plan.ts";
import type { ClaimedPlan, ClaimQuery } from "./ports.ts";
import { type RunContext, sendsItself } from "./step.ts";

/** The result of a claim: each step that it saw, and the touches to send, for which room is reserved. */
export interface Claimed {
  readonly seen: readonly Seen[];
  readonly done: readonly { readonly decided: DecidedPlan; readonly claimed: ClaimedPlan }[];
  readonly toSend: ReadonlyMap<Channel, ToSend>;
}

interface ToSend {
  /** Touches that are already `sending`; at most one group. */
  readonly begun: readonly OutgoingTouch[];
  readonly touchIds: readonly string[];
}

/** Claims one turn. Its workspaces share each channel's room equally; a step without room stays due. */
export async function claimTurn(context: RunContext, turn: Turn): Promise<Claimed> {
  const { now, store, rehearsal, claimedUntil, throughput } = context;
  const reservations = new Reservations(context, turn);
  const plans = new Map<string, DecidedPlan>();
  const seen: Seen[] = [];
  const plan = rehearsal?.plan ?? planner(now, (workspaceId, channel) => reservations.make(workspaceId, channel));
  const query = { now, recheckAt: claimedUntil, ...turn, ...beginning(context), without: closedTo(context, turn) };
  let toSend: Claimed["toSend"] = new Map();
  try {
    const written = await store.claimDue(query, (candidate) => {
      const decided = plan(candidate);
      seen.push({ candidate, leftOn: "leftOn" in decided ? decided.leftOn : null });
      if ("leftOn" in decided) return null;
      plans.set(decided.instanceId, decided);
      return decided;
    });
    const done = written.map((claimed) => {
      const decided = plans.get(claimed.instanceId);
      if (!decided) throw new Error(`the store carried out a plan nobody made, for instance ${claimed.instanceId}`);
      return { decided, claimed };
    });
    toSend = byChannel(done);
    return { seen, done, toSend };
  } finally {
    if (sendsItself(context)) reservations.keepOnly(throughput, toSend);
  }
}

/** Channels without room, and closed channels. */
function closedTo(context: RunContext, { open }: Turn): readonly ClosedChannel[] {
  if (!sendsItself(context)) return [];
  const full = CHANNELS.filter((channel) => !open.has(channel));
  return [...full.map((channel) => ({ channel, workspaceId: null })), ...context.health.closedScopes()];
}

/** If this run sends its own claims, one group per channel becomes `sending` with the claim. */
function beginning(context: RunContext): Pick<ClaimQuery, "begin" | "mayBegin"> {
  if (!sendsItself(context)) return { begin: 0 };
  const begun = new Map<Channel, number>();
  return {
    begin: Number.POSITIVE_INFINITY,
    mayBegin: (touch) => {
      if (context.health.closed(touch)) return false;
      const { channel } = touch;
      const count = (begun.get(channel) ?? 0) + 1;
      begun.set(channel, count);
      return count <= context.throughput.adaptiveBatch(channel);
    },
  };
}

function byChannel(done: Claimed["done"]): Claimed["toSend"] {
  const claimed = done.filter(
    ({ decided, claimed: { touchId } }) => touchId !== null && decided.touch?.status === "claimed",
  );
  return new Map(
    [...Map.groupBy(claimed, ({ decided }) => decided.touch?.channel)].flatMap(([channel, touches]) =>
      channel === undefined
        ? []
        : [
            [
              channel,
              {
                begun: touches.flatMap(({ claimed: { begun } }) => begun ?? []),
                touchIds: touches.flatMap(({ claimed: { begun, touchId } }) => (begun || !touchId ? [] : [touchId])),
              },
            ],
          ],
    ),
  );
}

/** Room that one turn reserves. */
class Reservations {
  readonly #context: RunContext;
  readonly #turn: Turn;
  readonly #made = new Map<Channel, number>();
  readonly #ofWorkspace = new Map<string, number>();

  constructor(context: RunContext, turn: Turn) {
    this.#context = context;
    this.#turn = turn;
  }

  make(workspaceId: string, channel: Channel): boolean {
    if (!sendsItself(this.#context)) return true;
    const { open, workspaces } = this.#turn;
    const { throughput, health, leftMs } = this.#context;
    if (health.closed({ channel, workspaceId })) return false;
    const key = `${workspaceId} ${channel}`;
    const used = this.#ofWorkspace.get(key) ?? 0;
    if (used >= Math.ceil((open.get(channel) ?? 0) / workspaces.length)) return false;
    if (throughput.reserve(channel, 1, leftMs()) === 0) return false;
    this.#ofWorkspace.set(key, used + 1);
    this.#made.set(channel, (this.#made.get(channel) ?? 0) + 1);
    return true;
  }

  keepOnly(throughput: RunContext["throughput"], kept: Claimed["toSend"]): void {
    for (const [channel, made] of this.#made) {
      const sent = kept.get(channel);
      throughput.release(channel, made - (sent ? sent.begun.length + sent.touchIds.length : 0));
    }
  }
}
