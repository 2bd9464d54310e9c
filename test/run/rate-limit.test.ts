import { describe, expect, it } from "@jest/globals";
import { perChannel } from "../../lib/domain/labels.ts";
import { ChannelHealth } from "../../lib/run/channel-health.ts";
import type { MessageChannel, SendOutcome } from "../../lib/run/channel-ports.ts";
import { type Clock, rateLimitedChannels } from "../../lib/run/rate-limit.ts";
import { aTouch } from "../channels/contract.ts";

const ACCEPTED: SendOutcome = { kind: "accepted", providerId: "p" };
const throttled = (retryAfterMs: number | null): SendOutcome => ({
  kind: "retry",
  reason: "webhook_429",
  throttled: { retryAfterMs },
});

/** Runs all pending work that needs no timer. */
const settled = () => new Promise((done) => setImmediate(done));

/** A clock that the test advances. */
class FakeClock implements Clock {
  #now = 0;
  #waiting: { readonly at: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wait(ms: number): Promise<void> {
    return new Promise((wake) => this.#waiting.push({ at: this.#now + ms, wake }));
  }

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const [next] = this.#waiting.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at);
      if (!next) break;
      this.#now = next.at;
      this.#waiting = this.#waiting.filter((one) => one !== next);
      next.wake();
    }
    this.#now = end;
  }
}

/** A provider that answers on demand, oldest call first. */
class SlowProvider implements MessageChannel {
  begun = 0;
  readonly #open: ((outcome: SendOutcome | Error) => void)[] = [];

  send(): Promise<SendOutcome> {
    this.begun += 1;
    return new Promise((answer, fail) =>
      this.#open.push((outcome) => (outcome instanceof Error ? fail(outcome) : answer(outcome))),
    );
  }

  get underWay(): number {
    return this.#open.length;
  }

  async answer(outcome: SendOutcome | Error, times = 1): Promise<void> {
    for (let time = 0; time < times; time++) {
      this.#open.shift()?.(outcome);
      await settled();
    }
  }
}

const idle: MessageChannel = { send: () => Promise.resolve(ACCEPTED) };

function limited(sendsAtOnce: number) {
  const clock = new FakeClock();
  const provider = new SlowProvider();
  let stopping = false;
  const options = { sendsAtOnce, stopping: () => stopping, health: new ChannelHealth(), clock };
  const { email, sms } = rateLimitedChannels({ ...perChannel(() => idle), email: provider }, options);
  const send = (count: number) => Promise.all(Array.from({ length: count }, () => email.send(aTouch())));
  return { clock, provider, sms, email, send, stop: () => (stopping = true) };
}

describe("the rate limit of a channel", () => {
  it("starts up to the limit of concurrent sends, and the next when one ends", async () => {
    const { provider, send } = limited(3);
    const outcomes = send(5);
    await settled();
    expect(provider.underWay).toBe(3);
    await provider.answer(ACCEPTED);
    expect(provider).toMatchObject({ begun: 4, underWay: 3 });
    await provider.answer(ACCEPTED, 4);
    expect(await outcomes).toEqual(Array(5).fill(ACCEPTED));
  });

  it("returns the touch and its outcome, including a thrown error", async () => {
    const { provider, email } = limited(1);
    const outcome = email.send(aTouch());
    const after = email.send(aTouch());
    await settled();
    const failed = expect(outcome).rejects.toThrow("a bug");
    await provider.answer(new Error("a bug"));
    await failed;
    await provider.answer({ kind: "refused", reason: "smtp_550" });
    expect(await after).toEqual({ kind: "refused", reason: "smtp_550" });
  });

  it.each([
    [null, 1_000],
    [0, 0],
    [3_000, 3_000],
    [59_999, 5_000],
  ])(
    "is halved by throttling, and starts nothing before the pause ends: Retry-After %p, %i ms",
    async (asked, pause) => {
      const { clock, provider, send } = limited(4);
      const outcomes = send(12);
      await settled();
      await provider.answer(throttled(asked));
      await provider.answer(ACCEPTED, 3);
      if (pause > 0) {
        await clock.pass(pause - 1);
        expect(provider).toMatchObject({ begun: 4, underWay: 0 });
        await clock.pass(1);
      }
      expect(provider.underWay).toBe(2);
      await provider.answer(ACCEPTED, 8);
      expect((await outcomes).filter(({ kind }) => kind === "retry")).toEqual([throttled(asked)]);
    },
  );

  it("is halved once by throttled concurrent sends, again by a later one, and never below one", async () => {
    const { clock, provider, send } = limited(8);
    const outcomes = send(20);
    await settled();
    const seen: number[] = [];
    for (let round = 0; round < 5; round++) {
      await provider.answer(throttled(null), provider.underWay);
      await clock.pass(1_000);
      seen.push(provider.underWay);
    }
    expect(seen).toEqual([4, 2, 1, 1, 1]);
    while (provider.underWay > 0) await provider.answer(ACCEPTED);
    expect(await outcomes).toHaveLength(20);
  });

  it("grows by one after each ten that are accepted, up to the bound and no further", async () => {
    const { clock, provider, send } = limited(4);
    const outcomes = send(60);
    await settled();
    await provider.answer(throttled(null), 4);
    await clock.pass(1_000);
    const seen: number[] = [];
    for (let round = 0; round < 4; round++) {
      seen.push(provider.underWay);
      await provider.answer(ACCEPTED, 10);
    }
    expect(seen).toEqual([2, 3, 4, 4]);
    await provider.answer(ACCEPTED, 16);
    expect(await outcomes).toHaveLength(60);
  });

  it("does not slow down for outcomes other than throttling", async () => {
    const { provider, send } = limited(2);
    const outcomes = send(4);
    await settled();
    await provider.answer({ kind: "retry", reason: "smtp_451" });
    await provider.answer({ kind: "unknown", reason: "no_answer" });
    expect(provider.underWay).toBe(2);
    await provider.answer(ACCEPTED, 2);
    await outcomes;
  });

  it("does not affect another channel", async () => {
    const { provider, send, sms } = limited(1);
    const outcomes = send(1);
    await settled();
    await provider.answer(throttled(5_000));
    await outcomes;
    expect(await sms.send(aTouch())).toEqual(ACCEPTED);
  });

  it("starts no more sends in this run if the provider asks for more time than the run has", async () => {
    const { clock, provider, send, sms } = limited(2);
    const outcomes = send(5);
    await settled();
    await provider.answer(throttled(60_000), 2);
    await clock.pass(5_000);
    expect(await outcomes).toEqual([
      ...Array(2).fill(throttled(60_000)),
      ...Array(3).fill({ ...throttled(60_000), notStarted: true }),
    ]);
    expect(provider.begun).toBe(2);
    expect(await sms.send(aTouch({ channel: "sms" }))).toEqual(ACCEPTED);
  });

  it("does not delay a run that must stop: waiting sends do not start", async () => {
    const { clock, provider, send, stop } = limited(2);
    const outcomes = send(6);
    await settled();
    await provider.answer(throttled(5_000));
    await provider.answer(ACCEPTED);
    stop();
    await clock.pass(100);
    const notStarted = { kind: "retry", reason: "run_stopped", notStarted: true };
    expect(await outcomes).toEqual([throttled(5_000), ACCEPTED, ...Array(4).fill(notStarted)]);
    expect(provider.begun).toBe(2);
  });

  it("lets a send in flight end, even if the run must stop", async () => {
    const { provider, email, stop } = limited(1);
    const outcome = email.send(aTouch());
    await settled();
    stop();
    await provider.answer(ACCEPTED);
    expect(await outcome).toEqual(ACCEPTED);
  });
});
