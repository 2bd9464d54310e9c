import { setTimeout } from "node:timers/promises";
import pLimit, { type LimitFunction } from "p-limit";
import type { Channel } from "../domain/labels.ts";
import type { ChannelHealth, Sent } from "./channel-health.ts";
import type { MessageChannel } from "./delivery-ports.ts";
import type { SendOutcome, Throttled } from "./port-types.ts";

/** A pause after "too many requests" whose length the provider does not say. */
const DEFAULT_PAUSE_MS = 1_000;
/** A run has less than a minute: what has to wait for longer, its next attempt waits for. */
const PAUSE_AT_MOST_MS = 5_000;
/** How often a send that waits asks whether the run has to stop. */
const LOOK_UP_MS = 100;
/** So many accepted sends since the last change allow for one more at once. */
const FASTER_AFTER = 10;

/** Passes time. */
export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  wait(ms: number): Promise<unknown>;
}

const REAL_CLOCK: Clock = { now: () => performance.now(), wait: (ms) => setTimeout(ms) };

export interface PaceOptions {
  /** The most sends that are ever under way at once. */
  readonly sendsAtOnce: number;
  /** True once the run has to stop: from then on no send is begun, also none that waits. */
  readonly stopping: () => boolean;
  readonly health: ChannelHealth;
  readonly clock?: Clock;
}

/**
 * The channels at a pace of their own each: at most `sendsAtOnce` sends under way, and fewer while the provider says that
 * it gets too much. A send that waits when the run has to stop is not begun (`retry`, `run_stopped`), nor is one whose
 * channel is at fault by then. One for each run.
 */
export function pacedChannels(channels: Channels, options: PaceOptions): Channels {
  const paced = (channel: MessageChannel): MessageChannel => {
    const pace = new Pace(options);
    return { send: (touch) => pace.run(touch, () => channel.send(touch)) };
  };
  const { email, sms, webhook, task } = channels;
  return { email: paced(email), sms: paced(sms), webhook: paced(webhook), task: paced(task) };
}

type Channels = Readonly<Record<Channel, MessageChannel>>;

/**
 * The pace of one provider. Each time it throttles, half as many are sent at once, and none before the pause that it asked
 * for is over; after ten that were accepted, one more at once.
 */
class Pace {
  readonly #limit: LimitFunction;
  readonly #options: Required<PaceOptions>;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #acceptedSince = 0;
  #slowdowns = 0;

  constructor(options: PaceOptions) {
    this.#options = { clock: REAL_CLOCK, ...options };
    this.#limit = pLimit(options.sendsAtOnce);
  }

  /** Begins `send` when its turn has come; throws what it throws. */
  run(sent: Sent, send: () => Promise<SendOutcome>): Promise<SendOutcome> {
    const { health, stopping } = this.#options;
    return this.#limit(async () => {
      if (!health.closed(sent)) await this.#pauseIsOver();
      if (stopping()) return { kind: "retry", reason: "run_stopped", notBegun: true };
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
      await clock.wait(Math.min(left, LOOK_UP_MS));
    }
  }

  #slowDown({ retryAfterMs }: Throttled, slowdownsBefore: number): void {
    const pauseMs = Math.min(PAUSE_AT_MOST_MS, retryAfterMs ?? DEFAULT_PAUSE_MS);
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#options.clock.now() + pauseMs);
    this.#acceptedSince = 0;
    // Those that were under way together say one thing, however many of them say it.
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
