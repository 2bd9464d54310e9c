/** A range in hours relative to the load; negative is in the past. */
export type Hours = readonly [from: number, to: number];

const HOUR_MS = 60 * 60_000;

/** Pseudo-random choices for one lead, the same for each seed and lead. They do not depend on other leads. */
export class Chance {
  #state: number;

  constructor(seed: number, lead: number) {
    this.#state = scramble(Math.imul(seed, 0x9e3779b1) ^ scramble(lead));
  }

  /** An integer from 0 to `count - 1`. */
  below(count: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return scramble(this.#state) % count;
  }

  /** One of the values. Throws Error if there are none. */
  of<Value>(values: readonly Value[]): Value {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new Error("no value to choose from");
    return value;
  }

  /** An instant within a range of hours from `now`, in milliseconds; undefined without a range. */
  moment(hours: Hours | undefined, now: number): number | undefined {
    if (!hours) return;
    const [from, to] = hours;
    return Math.round(now + HOUR_MS * (from + ((to - from) * this.below(1_000_000)) / 1e6));
  }
}

/** Mixes the bits of a 32-bit integer (the finalizer of MurmurHash3); returns an unsigned one. */
function scramble(bits: number): number {
  const once = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return (twice ^ (twice >>> 16)) >>> 0;
}
