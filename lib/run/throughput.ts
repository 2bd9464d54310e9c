import { CHANNELS, type Channel, perChannel } from "../domain/labels.ts";

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

/** A channel holds at most this much work, so that a provider that slows down leaves little behind. */
const AHEAD_MS = 5_000;
/** Busy time after which earlier measurements count half. */
const MEMORY_MS = 10_000;

/** Reserved touches of one channel that are being sent. */
interface Sending extends BatchSize {
  /** Ends the sending and releases the touches that were not sent. */
  end(): void;
}

/**
 * Measures how fast each channel sends, from the first answer of the run, and limits the work it is given. Shared by
 * all steps of a run.
 */
export class Throughput {
  readonly #lanes: Readonly<Record<Channel, Lane>>;
  #waiting: (() => void)[] = [];

  /** `remainingMs`: the clock, counting down. */
  constructor(remainingMs: () => number, sendsAtOnce: number) {
    this.#lanes = perChannel(() => new Lane(remainingMs, sendsAtOnce));
  }

  /** Room per channel, in touches, with `leftMs` left; channels without room are absent. */
  open(leftMs: number): ReadonlyMap<Channel, number> {
    return new Map(
      CHANNELS.map((channel) => [channel, this.#lanes[channel].room(leftMs)] as const).filter(([, room]) => room > 0),
    );
  }

  /** Touches that the channel can still send in `leftMs`, besides those that are reserved. */
  free(channel: Channel, leftMs: number): number {
    return Math.max(0, Math.floor(this.#lanes[channel].free(leftMs)));
  }

  reserve(channel: Channel, touches: number): void {
    this.#lanes[channel].add(touches);
  }

  /** Releases reserved touches that will not be sent. */
  release(channel: Channel, touches: number): void {
    this.#lanes[channel].remove(touches);
    this.wake();
  }

  /** Starts sending reserved touches. */
  sending(channel: Channel, touches: number): Sending {
    const lane = this.#lanes[channel];
    let left = touches;
    return {
      get current() {
        return lane.groups.current;
      },
      sent: (count, elapsedMs) => {
        left -= count;
        lane.sent(count, elapsedMs);
        this.wake();
      },
      end: () => this.release(channel, left),
    };
  }

  adaptiveBatch(channel: Channel): number {
    return this.#lanes[channel].groups.current;
  }

  /** True once any channel has answered. */
  get known(): boolean {
    return CHANNELS.some((channel) => this.#lanes[channel].known);
  }

  /** True if touches are in flight; their end may give a channel room. */
  get busy(): boolean {
    return CHANNELS.some((channel) => this.#lanes[channel].holds > 0);
  }

  /** True if a channel that has sent can send no more in `leftMs`. */
  isSpent(leftMs: number): boolean {
    return CHANNELS.some((channel) => this.#lanes[channel].known && this.#lanes[channel].free(leftMs) < 1);
  }

  /** Resolves at the next `wake`, which every finished group also triggers. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Resumes waiting claimers. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** One channel. It is busy while it holds a touch. */
class Lane {
  readonly groups = new AdaptiveBatch();
  readonly #remainingMs: () => number;
  readonly #sendsAtOnce: number;
  #holds = 0;
  #sent = 0;
  #workMs = 0;
  #measuredAt: number;

  constructor(remainingMs: () => number, sendsAtOnce: number) {
    this.#remainingMs = remainingMs;
    this.#sendsAtOnce = sendsAtOnce;
    this.#measuredAt = remainingMs();
  }

  get holds(): number {
    return this.#holds;
  }

  get known(): boolean {
    return this.#sent > 0;
  }

  add(touches: number): void {
    this.#measure();
    this.#holds += touches;
  }

  remove(touches: number): void {
    this.#measure();
    this.#holds -= touches;
  }

  sent(touches: number, elapsedMs: number): void {
    this.remove(touches);
    this.#sent += touches;
    this.groups.sent(touches, elapsedMs);
    if (this.#workMs > MEMORY_MS) {
      this.#workMs /= 2;
      this.#sent /= 2;
    }
  }

  /** Touches it may be given: none until half of its capacity is free, so that claims are not of one row each. */
  room(leftMs: number): number {
    const most = this.#most(leftMs);
    const free = Math.floor(most - this.#holds);
    return this.#holds === 0 || free >= most / 2 ? free : 0;
  }

  free(leftMs: number): number {
    return this.#most(leftMs) - this.#holds;
  }

  /**
   * Capacity: before the first answer, the concurrency limit; then what it sends in the time left, capped by
   * `AHEAD_MS`.
   */
  #most(leftMs: number): number {
    if (!this.known) return leftMs < 0 ? 0 : this.#sendsAtOnce;
    const perMs = this.#sent / Math.max(1, this.#workMs);
    return Math.min(perMs * leftMs, Math.max(perMs * AHEAD_MS, 2 * this.#sendsAtOnce));
  }

  #measure(): void {
    const now = this.#remainingMs();
    if (this.#holds > 0) this.#workMs += Math.max(0, this.#measuredAt - now);
    this.#measuredAt = now;
  }
}
