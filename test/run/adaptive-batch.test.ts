import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { AdaptiveBatch } from "../../lib/run/throughput.ts";

const group = fc.record({
  touches: fc.integer({ min: 1, max: 1_000 }),
  elapsedMs: fc.double({ min: 0, max: 60_000, noNaN: true }),
});

describe("the size of a group", () => {
  it("is a whole number between 10 and 1,000 and at most doubles, however fast or slow the groups were", () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 30 }), (groups) => {
        const size = new AdaptiveBatch();
        for (const { touches, elapsedMs } of groups) {
          const before = size.current;
          size.sent(touches, elapsedMs);
          expect(Number.isInteger(size.current)).toBe(true);
          expect(size.current).toBeGreaterThanOrEqual(10);
          expect(size.current).toBeLessThanOrEqual(Math.min(1_000, before * 2));
        }
      }),
    );
  });

  it.each([
    [0.1, 25],
    [1, 250],
    [1_000, 1_000],
    [0.001, 10],
  ])(
    "becomes what a provider of %d touches a millisecond takes in a quarter of a second: %d",
    (touchesPerMs, expected) => {
      const size = new AdaptiveBatch();
      for (let groups = 0; groups < 10; groups++) size.sent(size.current, size.current / touchesPerMs);
      expect(size.current).toBe(expected);
    },
  );

  it("ignores a group in which no touch started, and learns from a group of one", () => {
    const size = new AdaptiveBatch();
    const before = size.current;
    size.sent(0, 5_000);
    expect(size.current).toBe(before);
    size.sent(1, 5_000);
    expect(size.current).toBe(10);
  });

  it("grows again once the provider has become fast", () => {
    const size = new AdaptiveBatch();
    size.sent(50, 60_000);
    const seen = Array.from({ length: 4 }, () => {
      size.sent(size.current, 1);
      return size.current;
    });
    expect(seen).toEqual([20, 40, 80, 160]);
  });
});
