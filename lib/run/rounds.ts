import type { ClaimedFrom, DueCandidate, DueWorkspace } from "./ports.ts";

/** What is claimed in one batch: the same share of each of a few workspaces. */
export interface Turn {
  readonly workspaces: readonly ClaimedFrom[];
  readonly share: number;
}

/** So many workspaces share a batch; with more, they take turns. */
const WORKSPACES_IN_A_TURN = 100;

/**
 * Whose turn it is. All workspaces with due steps are served in rounds, so that none waits for another longer than one
 * round lasts, however much that has due; one is left out once it has no more. Several may claim at once.
 */
export class Rounds {
  readonly #waiting: ClaimedFrom[];
  #left: number;

  /** `limit`: how many steps may be claimed in all. */
  constructor(due: readonly DueWorkspace[], limit: number) {
    this.#waiting = due.map(({ id, capped }) => ({ id, capped, after: null }));
    this.#left = limit;
  }

  /** The next turn, of at most `batchSize` steps; undefined where nothing is left to claim. */
  next(batchSize: number): Turn | undefined {
    const size = Math.min(batchSize, this.#left);
    const workspaces = this.#waiting.splice(0, Math.min(WORKSPACES_IN_A_TURN, size));
    if (workspaces.length === 0) return undefined;
    this.#waiting.push(...workspaces);
    const share = Math.floor(size / workspaces.length);
    this.#left -= share * workspaces.length;
    return { workspaces, share };
  }

  /** Says what a turn claimed. A workspace that gave less than its share has no more that could be claimed now. */
  taken({ workspaces, share }: Turn, claimed: readonly DueCandidate[]): void {
    this.#left += share * workspaces.length - claimed.length;
    const byWorkspace = Map.groupBy(claimed, ({ workspaceId }) => workspaceId);
    for (const { id } of workspaces) {
      const place = this.#waiting.findIndex((waiting) => waiting.id === id);
      const waiting = this.#waiting[place];
      if (!waiting) continue;
      const own = byWorkspace.get(id) ?? [];
      if (own.length < share) this.#waiting.splice(place, 1);
      else this.#waiting[place] = { ...waiting, after: furthest(waiting.after, own.at(-1) ?? null) };
    }
  }
}

type Place = ClaimedFrom["after"];

const furthest = (one: Place, other: Place): Place =>
  one && other && one.nextStepDue > other.nextStepDue ? one : (other ?? one);
