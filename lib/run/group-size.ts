const LEAST = 10;
const MOST = 1_000;
const FIRST = 50;
/** What a killed sender leaves of unknown outcome is what it sent in this time. */
const SENDING_MS = 250;

/** How many touches are moved to `sending` together, and what is learned from each group. */
export interface Groups {
  readonly current: number;
  /** Tells how long a group took to be sent. */
  sent(touches: number, elapsedMs: number): void;
}

/**
 * As many as the providers take in a quarter of a second, so that a fast one is not slowed by acknowledging and a killed
 * sender leaves little that nobody knows the outcome of.
 */
export class GroupSize implements Groups {
  #current = FIRST;

  get current(): number {
    return this.#current;
  }

  /** At most doubles what one group that was quick by chance allows. */
  sent(touches: number, elapsedMs: number): void {
    if (touches === 0) return;
    const fitting = Math.round((touches * SENDING_MS) / Math.max(elapsedMs, 1));
    this.#current = Math.max(LEAST, Math.min(MOST, this.#current * 2, fitting));
  }
}
