import { CHANNELS, type Channel } from "../domain/labels.ts";
import type { ClaimedFrom, DueCandidate, DueWorkspace } from "./claim-ports.ts";

/** One batch: an equal share of each of several workspaces, on the channels with room. */
export interface Turn {
  readonly workspaces: readonly ClaimedFrom[];
  readonly share: number;
  /** Room per channel, in touches; channels without room are absent. */
  readonly open: Open;
}

export type Open = ReadonlyMap<Channel, number>;

/** Candidates that stayed due, with the channel that had no room. */
export type LeftDue = ReadonlyMap<DueCandidate, Channel>;

/** Most workspaces that share a batch; more take turns. */
const WORKSPACES_IN_A_TURN = 100;

export const ALL_OPEN: Open = new Map(CHANNELS.map((channel) => [channel, Number.POSITIVE_INFINITY]));

/** Position up to which the steps of some channels are claimed. */
interface Cursor {
  after: ClaimedFrom["after"];
  channels: ReadonlySet<Channel>;
}

interface WaitingWorkspace extends Pick<DueWorkspace, "id" | "capped"> {
  cursor: Cursor;
  /** Channels on which it has no more claimable steps. */
  readonly dry: Set<Channel>;
  /** Turns that currently claim from it. */
  underWay: number;
  /** Turns overlapped since the cursor started, so each skipped rows that the other had locked. */
  disturbed: boolean;
  /** From now on only one turn at a time claims from it: only then does a short result mean that nothing is left. */
  alone: boolean;
}

/**
 * Serves all workspaces with due steps round-robin, so that none waits longer than one round, however much another has
 * due. A workspace is skipped once it has no more steps on the channels with room. Supports concurrent claimers.
 */
export class FairShare {
  #waiting: WaitingWorkspace[];
  #left: number;
  readonly #cursors = new WeakMap<Turn, ReadonlyMap<string, Cursor>>();

  /** `limit`: the most steps claimed in total. */
  constructor(due: readonly DueWorkspace[], limit: number) {
    this.#waiting = due.map(waitingFrom);
    this.#left = limit;
  }

  /** True if there may be more to claim once another channel has room. */
  get wait(): boolean {
    return this.#left > 0 && this.#waiting.length > 0;
  }

  /** True if a turn is unfinished; there may be more to claim after it. */
  get underWay(): boolean {
    return this.#waiting.some(({ underWay }) => underWay > 0);
  }

  /** The next turn, of at most `batchSize` steps; undefined if nothing is left to claim on the channels with room. */
  next(batchSize: number, open: Open = ALL_OPEN): Turn | undefined {
    const size = Math.min(batchSize, this.#left);
    const served = this.#serve(Math.min(WORKSPACES_IN_A_TURN, size, ...open.values()), [...open.keys()]);
    if (served.length === 0) return undefined;
    const share = Math.floor(size / served.length);
    this.#left -= share * served.length;
    const workspaces = served.map(({ id, capped, cursor }) => ({ id, capped, after: cursor.after }));
    const turn = { workspaces, share, open };
    this.#cursors.set(turn, new Map(served.map(({ id, cursor }) => [id, cursor])));
    return turn;
  }

  /**
   * Records the result of a turn. A workspace that returned less than its share has no more on the turn's channels,
   * unless an overlapping turn locked the rest. In that case it restarts from its first step, with one turn at a time.
   */
  taken(turn: Turn, candidates: readonly DueCandidate[], leftDue: LeftDue): void {
    const { workspaces, share } = turn;
    this.#left += share * workspaces.length - (candidates.length - leftDue.size);
    const byWorkspace = Map.groupBy(candidates, ({ workspaceId }) => workspaceId);
    const cursors = this.#cursors.get(turn);
    for (const waiting of this.#waiting) {
      const cursor = cursors?.get(waiting.id);
      if (cursor) waiting.underWay -= 1;
      if (cursor && cursor === waiting.cursor) advance(waiting, byWorkspace.get(waiting.id) ?? [], leftDue, turn);
    }
    this.#waiting = this.#waiting.filter(({ dry }) => dry.size < CHANNELS.length);
  }

  /** Moves the served workspaces to the end. */
  #serve(most: number, open: readonly Channel[]): readonly WaitingWorkspace[] {
    const served: WaitingWorkspace[] = [];
    const others: WaitingWorkspace[] = [];
    for (const waiting of this.#waiting) {
      const isServed = served.length < most && mayBeServed(waiting, open);
      (isServed ? served : others).push(waiting);
    }
    this.#waiting = [...others, ...served];
    for (const waiting of served) turnTo(waiting, open);
    return served;
  }
}

const waitingFrom = ({ id, capped }: DueWorkspace): WaitingWorkspace => ({
  id,
  capped,
  cursor: { after: null, channels: new Set(CHANNELS) },
  dry: new Set(),
  underWay: 0,
  disturbed: false,
  alone: false,
});

const mayBeServed = ({ dry, alone, underWay }: WaitingWorkspace, open: readonly Channel[]): boolean =>
  open.some((channel) => !dry.has(channel)) && !(alone && underWay > 0);

/** A channel that was full has steps before the cursor, so restart. Unfinished turns do not advance the new cursor. */
function turnTo(waiting: WaitingWorkspace, open: readonly Channel[]): void {
  if (open.some((channel) => !waiting.dry.has(channel) && !waiting.cursor.channels.has(channel))) {
    waiting.cursor = { after: null, channels: new Set(open) };
  }
  if (waiting.underWay > 0) waiting.disturbed = true;
  waiting.underWay += 1;
}

function advance(
  waiting: WaitingWorkspace,
  seen: readonly DueCandidate[],
  leftDue: LeftDue,
  { share, open }: Turn,
): void {
  const { cursor, dry } = waiting;
  if (seen.length < share && waiting.disturbed) {
    waiting.cursor = { after: null, channels: new Set(open.keys()) };
    waiting.disturbed = false;
    waiting.alone = true;
    return;
  }
  const full = new Set(leftDue.size === 0 ? [] : seen.map((candidate) => leftDue.get(candidate)));
  const taken = [...open.keys()].filter((channel) => !full.has(channel));
  if (seen.length < share) for (const channel of taken) dry.add(channel);
  cursor.channels = new Set(taken.filter((channel) => cursor.channels.has(channel)));
  cursor.after = seen.reduce<Place>(furthest, cursor.after);
}

type Place = ClaimedFrom["after"];

const furthest = (one: Place, other: NonNullable<Place>): Place => {
  const apart = one ? one.nextStepDue.getTime() - other.nextStepDue.getTime() : -1;
  return one && (apart > 0 || (apart === 0 && one.instanceId > other.instanceId)) ? one : other;
};
