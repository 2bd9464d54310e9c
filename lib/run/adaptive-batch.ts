const LEAST = 10;
const MOST = 1_000;
const FIRST = 50;
/** Sending time of one group. A killed sender leaves at most one group with an unknown outcome. */
const SENDING_MS = 250;

/** Number of touches that move to `sending` together, adapted to each group's duration. */
export interface BatchSize {
  readonly current: number;
  /** Records how long a group took to send. */
  sent(touches: number, elapsedMs: number): void;
}

/**
 * Adaptive number of touches that move to `sending` together: as many as the providers accept in 250 ms. Settling then
 * does not slow a fast provider, and a killed sender leaves few touches `unknown`.
 */
export class AdaptiveBatch implements BatchSize {
  #current = FIRST;

  get current(): number {
    return this.#current;
  }

  /** At most doubles the size, because one group may be fast by chance. */
  sent(touches: number, elapsedMs: number): void {
    if (touches === 0) return;
    const fitting = Math.round((touches * SENDING_MS) / Math.max(elapsedMs, 1));
    this.#current = Math.max(LEAST, Math.min(MOST, this.#current * 2, fitting));
  }
}
