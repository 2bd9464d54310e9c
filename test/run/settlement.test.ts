import { describe, expect, it } from "@jest/globals";
import type { SendOutcome } from "../../lib/run/channel-ports.ts";
import { type Attempt, settlementOf } from "../../lib/run/settlement.ts";

const NOW = new Date("2030-01-07T12:00:00Z");
const minutesLater = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000);
const context = { now: NOW, failuresAtMost: 6, othersAnswered: false, jitter: 1 };
const touch = { id: "one", failures: 2, waitingSince: minutesLater(-5), deferredSince: null };
const digest = { id: "one", failures: 2, waitingSince: NOW };
const retry = { kind: "retry", reason: "smtp_451" } as const;
const down = { kind: "channel_down", reason: "smtp_535", scope: "channel" } as const;
const deferred = { ...retry, throttled: { retryAfterMs: null, ofReceiver: true } } as const;

describe("the settlement of an outcome", () => {
  it.each<[string, Attempt, SendOutcome, object]>([
    ["accepted", touch, { kind: "accepted", providerId: "x" }, { status: "sent", providerId: "x" }],
    ["refused", touch, { kind: "refused", reason: "smtp_550" }, { status: "failed", reason: "smtp_550" }],
    ["unknown", touch, { kind: "unknown", reason: "timeout" }, { status: "unknown", reason: "timeout" }],
    ["a transient error", touch, retry, { status: "retry", failures: 3, nextAttemptAt: minutesLater(4) }],
    ["the last transient error", { ...touch, failures: 5 }, retry, { status: "failed", reason: "smtp_451" }],
    [
      "a channel fault",
      touch,
      down,
      { status: "retry", failures: 2, nextAttemptAt: minutesLater(1), attemptUnused: true },
    ],
    ["a deferral of a touch", touch, deferred, { status: "retry", failures: 2, deferredSince: NOW }],
    ["a deferral of a digest", digest, deferred, { status: "retry", failures: 3 }],
  ])("maps %s", (_, attempt, outcome, expected) => {
    expect(settlementOf(attempt, outcome, context)).toMatchObject({ id: "one", ...expected });
  });

  it.each([
    ["a touch", touch],
    ["a digest", digest],
  ])("counts no failure of %s that was not started, and keeps its age", (_, attempt) => {
    for (const outcome of [retry, down]) {
      expect(settlementOf(attempt, { ...outcome, notStarted: true }, context)).toMatchObject({
        status: "retry",
        failures: 2,
        nextAttemptAt: attempt.waitingSince,
        attemptUnused: true,
      });
    }
  });

  it("counts no failure while the provider throttles, and waits as long as it asks", () => {
    const throttled = { ...retry, throttled: { retryAfterMs: 600_000 } };
    expect(settlementOf(touch, throttled, context)).toMatchObject({ failures: 2, nextAttemptAt: minutesLater(10) });
  });

  it("blames the message for a channel fault if the provider answered another one", () => {
    const fault = { ...down, otherwise: { kind: "refused", reason: "smtp_571" } } as const;
    expect(settlementOf(digest, fault, { ...context, othersAnswered: true })).toMatchObject({ status: "failed" });
    expect(settlementOf(digest, fault, context)).toMatchObject({ status: "retry" });
  });

  it("doubles the backoff up to one hour, and jitters its second half", () => {
    const waits = [0, 1, 5, 6, 20].map((failures) => {
      const settled = settlementOf({ ...digest, failures }, retry, { ...context, failuresAtMost: 24 });
      return "nextAttemptAt" in settled ? (settled.nextAttemptAt.getTime() - NOW.getTime()) / 60_000 : null;
    });
    expect(waits).toEqual([1, 2, 32, 60, 60]);
    expect(settlementOf(touch, retry, { ...context, jitter: 0 })).toMatchObject({ nextAttemptAt: minutesLater(2) });
  });

  it("fails a touch that its receiver has deferred for a day", () => {
    const day = { ...touch, deferredSince: minutesLater(-24 * 60) };
    expect(settlementOf(day, deferred, context)).toMatchObject({ status: "failed" });
    const hours = { ...touch, deferredSince: minutesLater(-3 * 60) };
    expect(settlementOf(hours, deferred, context)).toMatchObject({ nextAttemptAt: minutesLater(60) });
  });
});
