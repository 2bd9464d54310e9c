import { setTimeout } from "node:timers/promises";
import pLimit, { type LimitFunction } from "p-limit";
import { perChannel } from "../domain/labels.ts";
import type { ChannelHealth, Sent } from "./channel-health.ts";
import type { Channels, MessageChannel, SendOutcome, Throttled } from "./channel-ports.ts";

/** Pause after a throttling answer without a retry-after. */
const DEFAULT_PAUSE_MS = 1_000;
/** Longest pause within a run, which lasts under a minute; the next attempt waits for the rest. */
const PAUSE_AT_MOST_MS = 5_000;
/** How often a waiting send checks whether the run must stop. */
const POLL_MS = 100;
/** Accepted sends after which one more may be in flight. */
const FASTER_AFTER = 10;

/** The time source; tests replace it. */
export interface Clock {
  /** Monotonic time in milliseconds. */
  now(): number;
  wait(ms: number): Promise<unknown>;
}

const REAL_CLOCK: Clock = { now: () => performance.now(), wait: (ms) => setTimeout(ms) };

interface RateLimitOptions {
  /** Most sends in flight on one channel. */
  readonly sendsAtOnce: number;
  /** True once the run must stop: then no send starts, not even a waiting one. */
  readonly stopping: () => boolean;
  readonly health: ChannelHealth;
  readonly clock?: Clock;
}

/**
 * Gives each channel its own concurrency limit: at most `sendsAtOnce` sends in flight, fewer while the provider
 * throttles. A send that still waits when the run stops returns `retry` with the reason `run_stopped`. A send whose
 * channel has closed by then does not start either. Create one set per run.
 */
export function rateLimitedChannels(channels: Channels, options: RateLimitOptions): Channels {
  const limited = (channel: MessageChannel): MessageChannel => {
    const rateLimit = new RateLimit(options);
    return { send: (touch) => rateLimit.run(touch, () => channel.send(touch)) };
  };
  return perChannel((channel) => limited(channels[channel]));
}

/**
 * The concurrency limit of one provider. Throttling halves it and pauses all sends as long as the provider asks; ten
 * accepted sends raise it by one.
 */
class RateLimit {
  readonly #limit: LimitFunction;
  readonly #options: Required<RateLimitOptions>;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #acceptedSince = 0;
  #slowdowns = 0;

  constructor(options: RateLimitOptions) {
    this.#options = { clock: REAL_CLOCK, ...options };
    this.#limit = pLimit(options.sendsAtOnce);
  }

  /** Runs `send` when a slot is free. Rethrows its errors. */
  run(sent: Sent, send: () => Promise<SendOutcome>): Promise<SendOutcome> {
    const { health, stopping } = this.#options;
    return this.#limit(async () => {
      if (!health.closed(sent)) await this.#pauseIsOver();
      if (stopping()) return { kind: "retry", reason: "run_stopped", notStarted: true };
      const closed = health.closed(sent);
      if (closed) return closed;
      const slowdownsBefore = this.#slowdowns;
      const outcome = await send();
      health.note(sent, outcome);
      if (outcome.kind === "accepted") this.#speedUp();
      if ("throttled" in outcome && outcome.throttled) this.#slowDown(outcome.throttled, slowdownsBefore);
      return outcome;
    });
  }

  async #pauseIsOver(): Promise<void> {
    const { clock, stopping } = this.#options;
    for (;;) {
      const left = this.#pausedUntil - clock.now();
      if (left <= 0 || stopping()) return;
      await clock.wait(Math.min(left, POLL_MS));
    }
  }

  #slowDown({ retryAfterMs }: Throttled, slowdownsBefore: number): void {
    const pauseMs = Math.min(PAUSE_AT_MOST_MS, retryAfterMs ?? DEFAULT_PAUSE_MS);
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#options.clock.now() + pauseMs);
    this.#acceptedSince = 0;
    // Throttling answers to sends that were in flight together count once.
    if (this.#slowdowns > slowdownsBefore) return;
    this.#slowdowns += 1;
    this.#limit.concurrency = Math.max(1, Math.floor(this.#limit.concurrency / 2));
  }

  #speedUp(): void {
    if (this.#limit.concurrency >= this.#options.sendsAtOnce) return;
    this.#acceptedSince += 1;
    if (this.#acceptedSince % FASTER_AFTER === 0) this.#limit.concurrency += 1;
  }
}
