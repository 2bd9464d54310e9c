import { CHANNELS, type Channel } from "../domain/labels.ts";
import { GroupSize, type Groups } from "./group-size.ts";

/** A channel holds no more work than it sends in this time, so that a provider that slows down leaves little behind. */
const AHEAD_MS = 5_000;
/** After so much work what was measured before counts half. */
const MEMORY_MS = 10_000;

/** Touches of one channel on their way: the size of their groups, and what is learned from each. */
export interface Sending extends Groups {
  /** None of them is under way any more. */
  end(): void;
}

/**
 * How fast each channel sends, measured from the first answer of the run, and how much more it may be given. The same for
 * all steps of a run.
 */
export class Throughput {
  readonly #lanes: Readonly<Record<Channel, Lane>>;
  #waiting: (() => void)[] = [];

  /** `remainingMs`: the clock, which runs backwards. */
  constructor(remainingMs: () => number, sendsAtOnce: number) {
    const lane = () => new Lane(remainingMs, sendsAtOnce);
    this.#lanes = { email: lane(), sms: lane(), webhook: lane(), task: lane() };
  }

  /** How many more touches may be taken, by channel, if `leftMs` is left; a channel that may be given none is not in it. */
  open(leftMs: number): ReadonlyMap<Channel, number> {
    return new Map(
      CHANNELS.map((channel) => [channel, this.#lanes[channel].room(leftMs)] as const).filter(([, room]) => room > 0),
    );
  }

  /** Counts so many more touches to the channel, or as many as it can still send in `leftMs`; answers how many. */
  reserve(channel: Channel, touches: number, leftMs: number): number {
    const lane = this.#lanes[channel];
    const granted = Math.max(0, Math.min(touches, Math.floor(lane.free(leftMs))));
    lane.add(granted);
    return granted;
  }

  /** Gives back what was reserved and is not sent. */
  release(channel: Channel, touches: number): void {
    this.#lanes[channel].remove(touches);
    this.wake();
  }

  /** For touches that were reserved. */
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

  groupSize(channel: Channel): number {
    return this.#lanes[channel].groups.current;
  }

  /** Whether some channel has answered. */
  get known(): boolean {
    return CHANNELS.some((channel) => this.#lanes[channel].known);
  }

  /** Whether something is under way whose end may open a channel. */
  get busy(): boolean {
    return CHANNELS.some((channel) => this.#lanes[channel].holds > 0);
  }

  /** Whether some channel that has sent can send no more in so much time. */
  isSpent(leftMs: number): boolean {
    return CHANNELS.some((channel) => this.#lanes[channel].known && this.#lanes[channel].free(leftMs) < 1);
  }

  /** Resolves with the next `wake`; a channel that has sent something wakes too. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** For whatever else may let a claim go on. */
  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** One channel. It counts as at work while it holds a touch. */
class Lane {
  readonly groups = new GroupSize();
  readonly #remainingMs: () => number;
  readonly #sendsAtOnce: number;
  #holds = 0;
  #sent = 0;
  #workMs = 0;
  #lookedAt: number;

  constructor(remainingMs: () => number, sendsAtOnce: number) {
    this.#remainingMs = remainingMs;
    this.#sendsAtOnce = sendsAtOnce;
    this.#lookedAt = remainingMs();
  }

  get holds(): number {
    return this.#holds;
  }

  get known(): boolean {
    return this.#sent > 0;
  }

  add(touches: number): void {
    this.#look();
    this.#holds += touches;
  }

  remove(touches: number): void {
    this.#look();
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

  /** What it may be given: nothing until half of what it may hold is done, so that claims are not of one row each. */
  room(leftMs: number): number {
    const most = this.#most(leftMs);
    const free = Math.floor(most - this.#holds);
    return this.#holds === 0 || free >= most / 2 ? free : 0;
  }

  free(leftMs: number): number {
    return this.#most(leftMs) - this.#holds;
  }

  /** Before its first answer, what can be under way at once; then what it sends in the time left, and not far ahead. */
  #most(leftMs: number): number {
    if (!this.known) return leftMs < 0 ? 0 : this.#sendsAtOnce;
    const perMs = this.#sent / Math.max(1, this.#workMs);
    return Math.min(perMs * leftMs, Math.max(perMs * AHEAD_MS, 2 * this.#sendsAtOnce));
  }

  #look(): void {
    const now = this.#remainingMs();
    if (this.#holds > 0) this.#workMs += Math.max(0, this.#lookedAt - now);
    this.#lookedAt = now;
  }
}
