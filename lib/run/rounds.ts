import { CHANNELS, type Channel } from "../domain/labels.ts";
import type { ClaimedFrom, DueCandidate, DueWorkspace } from "./ports.ts";

/** What is claimed in one batch: the same share of each of a few workspaces, on the channels that have room. */
export interface Turn {
  readonly workspaces: readonly ClaimedFrom[];
  readonly share: number;
  /** How many more touches each channel may be given; a channel that may be given none is not in it. */
  readonly open: Open;
}

export type Open = ReadonlyMap<Channel, number>;

/** A candidate, and the channel on which it was left due, for want of room. */
export interface Seen {
  readonly candidate: DueCandidate;
  readonly leftOn: Channel | null;
}

/** So many workspaces share a batch; with more, they take turns. */
const WORKSPACES_IN_A_TURN = 100;

export const ALL_OPEN: Open = new Map(CHANNELS.map((channel) => [channel, Number.POSITIVE_INFINITY]));

/** Up to where the steps of some channels are claimed. */
interface Cursor {
  after: ClaimedFrom["after"];
  channels: ReadonlySet<Channel>;
}

interface Waiting extends Pick<DueWorkspace, "id" | "capped"> {
  cursor: Cursor;
  /** Channels of which it has no more step that could be claimed now. */
  readonly dry: Set<Channel>;
  /** Turns that claim of it at this moment. */
  underWay: number;
  /** Two claimed of it at once since its cursor began, and so passed over what the other one held. */
  disturbed: boolean;
  /** From now on one at a time claims of it: only such a turn can say that nothing is left. */
  alone: boolean;
}

/**
 * Whose turn it is. All workspaces with due steps are served in rounds, so that none waits for another longer than one
 * round lasts, however much that has due; one is left out once it has no more on the channels that have room. Several may
 * claim at once.
 */
export class Rounds {
  #waiting: Waiting[];
  #left: number;
  readonly #cursors = new WeakMap<Turn, ReadonlyMap<string, Cursor>>();

  /** `limit`: how many steps may be claimed in all. */
  constructor(due: readonly DueWorkspace[], limit: number) {
    this.#waiting = due.map(begin);
    this.#left = limit;
  }

  /** Whether something may be left to claim once another channel has room. */
  get wait(): boolean {
    return this.#left > 0 && this.#waiting.length > 0;
  }

  /** Whether some turn is not told of yet, after which there may be more to claim. */
  get underWay(): boolean {
    return this.#waiting.some(({ underWay }) => underWay > 0);
  }

  /** The next turn, of at most `batchSize` steps; undefined where nothing is left to claim on the channels with room. */
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
   * Says what a turn saw. A workspace that gave less than its share has no more on the channels of the turn, unless another
   * turn may have held the rest: then it is served again from its beginning, by one turn at a time.
   */
  taken(turn: Turn, seen: readonly Seen[]): void {
    const { workspaces, share, open } = turn;
    this.#left += share * workspaces.length - seen.filter(({ leftOn }) => leftOn === null).length;
    const byWorkspace = Map.groupBy(seen, ({ candidate }) => candidate.workspaceId);
    const cursors = this.#cursors.get(turn);
    for (const waiting of this.#waiting) {
      const cursor = cursors?.get(waiting.id);
      if (cursor) waiting.underWay -= 1;
      if (cursor && cursor === waiting.cursor) advance(waiting, byWorkspace.get(waiting.id) ?? [], share, open);
    }
    this.#waiting = this.#waiting.filter(({ dry }) => dry.size < CHANNELS.length);
  }

  /** Those whose turn it is go to the end. */
  #serve(most: number, open: readonly Channel[]): readonly Waiting[] {
    const served: Waiting[] = [];
    const others: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const isServed = served.length < most && mayBeServed(waiting, open);
      (isServed ? served : others).push(waiting);
    }
    this.#waiting = [...others, ...served];
    for (const waiting of served) turnTo(waiting, open);
    return served;
  }
}

const begin = ({ id, capped }: DueWorkspace): Waiting => ({
  id,
  capped,
  cursor: { after: null, channels: new Set(CHANNELS) },
  dry: new Set(),
  underWay: 0,
  disturbed: false,
  alone: false,
});

const mayBeServed = ({ dry, alone, underWay }: Waiting, open: readonly Channel[]): boolean =>
  open.some((channel) => !dry.has(channel)) && !(alone && underWay > 0);

/** A channel that had no room has steps before the cursor. Turns that have begun from another one do not move the new. */
function turnTo(waiting: Waiting, open: readonly Channel[]): void {
  if (open.some((channel) => !waiting.dry.has(channel) && !waiting.cursor.channels.has(channel))) {
    waiting.cursor = { after: null, channels: new Set(open) };
  }
  if (waiting.underWay > 0) waiting.disturbed = true;
  waiting.underWay += 1;
}

function advance(waiting: Waiting, seen: readonly Seen[], share: number, open: Open): void {
  const { cursor, dry } = waiting;
  if (seen.length < share && waiting.disturbed) {
    waiting.cursor = { after: null, channels: new Set(open.keys()) };
    waiting.disturbed = false;
    waiting.alone = true;
    return;
  }
  const left = new Set(seen.map(({ leftOn }) => leftOn));
  const taken = [...open.keys()].filter((channel) => !left.has(channel));
  if (seen.length < share) for (const channel of taken) dry.add(channel);
  cursor.channels = new Set(taken.filter((channel) => cursor.channels.has(channel)));
  cursor.after = seen.reduce<Place>((place, { candidate }) => furthest(place, candidate), cursor.after);
}

type Place = ClaimedFrom["after"];

const furthest = (one: Place, other: NonNullable<Place>): Place => {
  const apart = one ? one.nextStepDue.getTime() - other.nextStepDue.getTime() : -1;
  return one && (apart > 0 || (apart === 0 && one.instanceId > other.instanceId)) ? one : other;
};
