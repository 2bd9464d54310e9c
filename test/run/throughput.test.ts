import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { Throughput } from "../../lib/run/throughput.ts";

const AT_ONCE = 10;

/** A run whose clock the test moves. */
function openRun(leftMs = 60_000) {
  const clock = { leftMs };
  const throughput = new Throughput(() => clock.leftMs, AT_ONCE);
  const roomOf = (channel: (typeof CHANNELS)[number]) => throughput.open(clock.leftMs).get(channel) ?? 0;
  /** Sends all that the channel has room for, each in so much time; answers how many it were. */
  const fill = (channel: (typeof CHANNELS)[number], msEach: number) => {
    const granted = throughput.free(channel, clock.leftMs);
    throughput.reserve(channel, granted);
    const sending = throughput.sending(channel, granted);
    for (let sent = 0; sent < granted; sent += AT_ONCE) {
      const group = Math.min(AT_ONCE, granted - sent);
      clock.leftMs -= group * msEach;
      sending.sent(group, group * msEach);
    }
    sending.end();
    return granted;
  };
  return { clock, throughput, roomOf, fill };
}

describe("the room of a channel", () => {
  it("is the number of concurrent sends until the first answer, and zero when the time is over", () => {
    const { throughput, roomOf } = openRun();
    for (const channel of CHANNELS) expect(roomOf(channel)).toBe(AT_ONCE);
    expect([...throughput.open(-1).keys()]).toEqual([]);
    expect(throughput.free("sms", 60_000)).toBe(AT_ONCE);
    throughput.reserve("sms", AT_ONCE);
    expect(roomOf("sms")).toBe(0);
  });

  it("is what it sends in five seconds, or in the time left if that is less", () => {
    const { clock, roomOf, fill } = openRun();
    fill("webhook", 100);
    expect(roomOf("webhook")).toBe(50);
    clock.leftMs = 2_000;
    expect(roomOf("webhook")).toBe(20);
    clock.leftMs = 99;
    expect(roomOf("webhook")).toBe(0);
  });

  it("is never given out twice, returns with unsent touches, and reopens at half", () => {
    const { throughput, roomOf, fill } = openRun();
    fill("webhook", 100);
    throughput.reserve("webhook", 50);
    const sending = throughput.sending("webhook", 50);
    expect(throughput.free("webhook", 50_000)).toBe(0);
    throughput.release("webhook", 20);
    expect(roomOf("webhook")).toBe(0);
    throughput.release("webhook", 5);
    expect(roomOf("webhook")).toBe(25);
    sending.end();
    expect(throughput.busy).toBe(false);
  });

  it("of one channel says nothing of another", () => {
    const { roomOf, fill } = openRun();
    fill("webhook", 1_000);
    fill("email", 1);
    expect(roomOf("sms")).toBe(AT_ONCE);
    expect(roomOf("email")).toBe(5_000);
  });

  it("follows a channel that becomes slow or fast", () => {
    const { clock, roomOf, fill } = openRun(10_000_000);
    fill("email", 1);
    for (let turn = 0; turn < 20; turn++) fill("email", 1_000);
    expect(roomOf("email")).toBeLessThanOrEqual(2 * AT_ONCE);
    clock.leftMs = 10_000_000;
    for (let turn = 0; turn < 20; turn++) fill("email", 1);
    expect(roomOf("email")).toBeGreaterThan(1_000);
  });

  it("never lets a run claim more than it sends, except what is in flight at its end", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 2_000, max: 60_000 }), (msEach, leftMs) => {
        const { clock, throughput, fill } = openRun(leftMs);
        let given = 0;
        for (let turn = 0; turn < 100_000 && throughput.open(clock.leftMs).has("webhook"); turn++) {
          given += fill("webhook", msEach);
        }
        expect(given * msEach).toBeLessThanOrEqual(Math.max(leftMs, AT_ONCE * msEach));
        expect(throughput.isSpent(clock.leftMs)).toBe(true);
      }),
    );
  });

  it("wakes its waiters with each sent group", async () => {
    const { throughput } = openRun();
    throughput.reserve("email", 10);
    const sending = throughput.sending("email", 10);
    const woken = throughput.changed();
    sending.sent(5, 10);
    await expect(woken).resolves.toBeUndefined();
    expect(throughput.known).toBe(true);
  });
});
