import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { GroupSize } from "../../lib/run/group-size.ts";
import type { DueCandidate, DueWorkspace } from "../../lib/run/ports.ts";
import { Rounds, type Turn } from "../../lib/run/rounds.ts";

const NOW = new Date("2030-01-07T12:00:00Z");
const workspace = (number: number): DueWorkspace => ({ id: `w${number}`, capped: false, oldestDue: NOW });

/** Claims as the store does: of each workspace its share, as long as it has some. */
function claim(turn: Turn, left: Map<string, number>, claimed: Map<string, number>): DueCandidate[] {
  return turn.workspaces.flatMap(({ id }) => {
    const taken = Math.min(turn.share, left.get(id) ?? 0);
    left.set(id, (left.get(id) ?? 0) - taken);
    claimed.set(id, (claimed.get(id) ?? 0) + taken);
    const candidate = (index: number): DueCandidate => ({
      instanceId: `${id}-${claimed.get(id)}-${index}`,
      workspaceId: id,
      position: 1,
      nextStepDue: new Date(NOW.getTime() + index),
      heldSince: null,
      read: { fault: "not read" },
    });
    return Array.from({ length: taken }, (_, index) => candidate(index));
  });
}

const cases = fc.record({
  due: fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 250 }),
  batchSize: fc.integer({ min: 1, max: 1_000 }),
  limit: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 1, max: 10_000 })),
});

describe("the turns of the workspaces", () => {
  it("take all that is due, or as much as the limit says, in batches no larger than they may be", () => {
    const law = fc.property(cases, ({ due, batchSize, limit }) => {
      const left = new Map(due.map((count, number) => [`w${number}`, count]));
      const claimed = new Map<string, number>();
      const rounds = new Rounds(
        due.map((_, number) => workspace(number)),
        limit,
      );
      for (let turn = rounds.next(batchSize); turn; turn = rounds.next(batchSize)) {
        expect(turn.share * turn.workspaces.length).toBeLessThanOrEqual(batchSize);
        rounds.taken(turn, claim(turn, left, claimed));
      }
      const total = due.reduce((sum, count) => sum + count, 0);
      const taken = [...claimed.values()].reduce((sum, count) => sum + count, 0);
      expect(taken).toBe(Math.min(total, limit));
    });
    fc.assert(law, { numRuns: 200 });
  });

  it("come to each workspace once before any comes twice, so that one with very much keeps none waiting longer", () => {
    const counts = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 2, maxLength: 250 });
    const law = fc.property(counts, (due) => {
      const left = new Map(due.map((count, number) => [`w${number}`, count]));
      const rounds = new Rounds(
        due.map((_, number) => workspace(number)),
        Number.POSITIVE_INFINITY,
      );
      const turns = Math.ceil(due.length / 100);
      const served = Array.from({ length: turns }, () => {
        const turn = rounds.next(1_000) ?? { share: 0, workspaces: [] };
        rounds.taken(turn, claim(turn, left, new Map()));
        return turn.workspaces.map(({ id }) => id);
      });
      // A hundred share a batch: after as many batches as that takes, each has had its share.
      expect(new Set(served.flat()).size).toBe(due.length);
    });
    fc.assert(law, { numRuns: 100 });
  });

  it("go on from where a workspace was left, and leave out one that had less than its share", () => {
    const rounds = new Rounds([workspace(0), workspace(1)], Number.POSITIVE_INFINITY);
    const left = new Map([
      ["w0", 100],
      ["w1", 3],
    ]);
    const first = rounds.next(20);
    if (!first) throw new Error("there was no turn");
    expect(first).toMatchObject({
      share: 10,
      workspaces: [
        { id: "w0", after: null },
        { id: "w1", after: null },
      ],
    });
    const claimed = claim(first, left, new Map());
    rounds.taken(first, claimed);
    expect(rounds.next(20)).toMatchObject({ share: 20, workspaces: [{ id: "w0", after: claimed[9] }] });
  });

  it("may be taken by two at once: what the one has reserved the other does not count on", () => {
    const rounds = new Rounds([workspace(0)], 15);
    expect([rounds.next(10)?.share, rounds.next(10)?.share, rounds.next(10)]).toEqual([10, 5, undefined]);
  });
});

describe("the size of a group to send", () => {
  it("is what its providers take in a quarter of a second, within bounds, and at most doubles at a time", () => {
    const size = new GroupSize();
    expect(size.current).toBe(50);
    const seen = [1, 1, 1, 1, 1, 1].map(() => {
      size.sent(size.current, 1);
      return size.current;
    });
    expect(seen).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    size.sent(1_000, 10_000);
    expect(size.current).toBe(25);
    size.sent(25, 60_000);
    expect(size.current).toBe(10);
    size.sent(0, 5);
    expect(size.current).toBe(10);
  });
});
