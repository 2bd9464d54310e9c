import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { DueCandidate, DueWorkspace } from "../../lib/run/claim-ports.ts";
import { FairShare, type LeftDue, type Turn } from "../../lib/run/fair-share.ts";

const OLDEST = Date.UTC(2030, 0, 7, 9);

/** A fake database with `dueOf[i]` due steps per workspace, one second apart. */
class Steps {
  readonly claimedOf: number[];
  readonly #dueOf: readonly number[];

  constructor(dueOf: readonly number[]) {
    this.#dueOf = dueOf;
    this.claimedOf = dueOf.map(() => 0);
  }

  readonly workspaces = (): DueWorkspace[] =>
    this.#dueOf.map((_, index) => ({ id: String(index), capped: false, oldestDue: new Date(OLDEST) }));

  get claimed(): number {
    return sum(this.claimedOf);
  }

  /** Claims the turn's share, as far as steps are left. */
  claim({ workspaces, share }: Turn): DueCandidate[] {
    return workspaces.flatMap(({ id }) => {
      const before = this.claimedOf[Number(id)] ?? 0;
      const taken = Math.min(share, (this.#dueOf[Number(id)] ?? 0) - before);
      this.claimedOf[Number(id)] = before + taken;
      return Array.from({ length: taken }, (_, index) => candidate(id, before + index));
    });
  }
}

const NONE: LeftDue = new Map();

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

const candidate = (workspaceId: string, number: number): DueCandidate => ({
  workspaceId,
  instanceId: `${workspaceId}:${number}`,
  position: 1,
  nextStepDue: new Date(OLDEST + number * 1_000),
  heldSince: null,
  read: { fault: "not read here" },
});

/** Takes turns until none is left; calls `look` before each with the workspaces that have run dry. */
function serveAll(
  steps: Steps,
  limit: number,
  batchSize: number,
  look: (turn: Turn, dry: ReadonlySet<string>) => void,
) {
  const shares = new FairShare(steps.workspaces(), limit);
  const dry = new Set<string>();
  for (let turn = shares.next(batchSize); turn; turn = shares.next(batchSize)) {
    look(turn, dry);
    const claimed = steps.claim(turn);
    shares.taken(turn, claimed, NONE);
    for (const { id } of turn.workspaces) {
      if (claimed.filter(({ workspaceId }) => workspaceId === id).length < turn.share) dry.add(id);
    }
  }
}

const dueOf = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 250 });
const limits = fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant(Number.POSITIVE_INFINITY));
const batchSizes = fc.integer({ min: 1, max: 500 });

describe("shares", () => {
  it("serve every workspace with more due before any of them twice", () => {
    fc.assert(
      fc.property(dueOf, limits, batchSizes, (due, limit, batchSize) => {
        const served = due.map(() => 0);
        serveAll(new Steps(due), limit, batchSize, (turn, dry) => {
          for (const { id } of turn.workspaces) served[Number(id)] = (served[Number(id)] ?? 0) + 1;
          const wet = served.filter((_, index) => !dry.has(String(index)));
          expect(Math.max(...wet) - Math.min(...wet)).toBeLessThanOrEqual(1);
        });
      }),
    );
  });

  it("claim everything due up to the limit, and never serve an exhausted workspace", () => {
    fc.assert(
      fc.property(dueOf, limits, batchSizes, (due, limit, batchSize) => {
        const steps = new Steps(due);
        serveAll(steps, limit, batchSize, ({ workspaces, share }, dry) => {
          expect(workspaces.filter(({ id }) => dry.has(id))).toEqual([]);
          expect(share * workspaces.length).toBeLessThanOrEqual(Math.min(batchSize, limit - steps.claimed));
        });
        expect(steps.claimed).toBe(Math.min(limit, sum(due)));
      }),
    );
  });

  it("start each turn after the last claimed step", () => {
    fc.assert(
      fc.property(dueOf, batchSizes, (due, batchSize) => {
        const steps = new Steps(due);
        serveAll(steps, Number.POSITIVE_INFINITY, batchSize, ({ workspaces }) => {
          for (const { id, after } of workspaces) {
            const before = steps.claimedOf[Number(id)] ?? 0;
            expect(after?.instanceId).toBe(before === 0 ? undefined : `${id}:${before - 1}`);
          }
        });
      }),
    );
  });

  it("keep the limit and leave nothing behind when several claim at once and end in any order", () => {
    fc.assert(
      fc.property(
        dueOf,
        limits,
        batchSizes,
        fc.array(fc.nat(3), { maxLength: 400 }),
        (due, limit, batchSize, order) => {
          const steps = new Steps(due);
          const shares = new FairShare(steps.workspaces(), limit);
          const underWay: { readonly turn: Turn; readonly claimed: DueCandidate[] }[] = [];
          const begin = () => {
            const turn = shares.next(batchSize);
            if (turn) underWay.push({ turn, claimed: steps.claim(turn) });
            return turn !== undefined;
          };
          const end = (which: number) => {
            const [ended] = underWay.splice(which % underWay.length, 1);
            if (ended) shares.taken(ended.turn, ended.claimed, NONE);
          };
          for (const choice of order) {
            if (underWay.length === 0 || choice === 0) begin();
            else end(choice);
            expect(steps.claimed).toBeLessThanOrEqual(limit);
          }
          while (underWay.length > 0 || begin()) end(0);
          expect(steps.claimed).toBe(Math.min(limit, sum(due)));
        },
      ),
    );
  });

  it("serve ten steps beside a hundred thousand in the first turn, and a thousand workspaces in ten", () => {
    const [first] = turnsOf([100_000, 10], 500, 1);
    expect(first).toEqual({ workspaces: ["0", "1"], share: 250 });
    const thousand = turnsOf([100_000, ...Array.from({ length: 1_000 }, () => 1)], 500, 11);
    expect(new Set(thousand.flatMap(({ workspaces }) => workspaces)).size).toBe(1_001);
  });

  const LIMITLESS = Number.POSITIVE_INFINITY;
  const emailOnly = new Map([["email", LIMITLESS]] as const);
  const leftOnWebhook = (candidates: readonly DueCandidate[]): LeftDue =>
    new Map(candidates.map((candidate) => [candidate, "webhook"]));

  it("restart at the oldest step for a channel that had no room before", () => {
    const steps = new Steps([1_000]);
    const shares = new FairShare(steps.workspaces(), LIMITLESS);
    const first = shares.next(10);
    if (!first) throw new Error("no turn");
    const candidates = steps.claim(first);
    shares.taken(first, candidates, leftOnWebhook(candidates));
    const byEmail = shares.next(10, emailOnly);
    if (!byEmail) throw new Error("no turn");
    expect(byEmail.workspaces).toMatchObject([{ after: { instanceId: "0:9" } }]);
    shares.taken(byEmail, [], NONE);
    expect(shares.next(10, emailOnly)).toBeUndefined();
    expect(shares.wait).toBe(true);
    expect(shares.next(10)).toMatchObject({ workspaces: [{ after: null }] });
  });

  it("serve no more workspaces in a turn than the tightest channel has room for", () => {
    const shares = new FairShare(new Steps(Array.from({ length: 50 }, () => 9)).workspaces(), LIMITLESS);
    const open = new Map([
      ["email", LIMITLESS],
      ["webhook", 7],
    ] as const);
    const turns = Array.from({ length: 7 }, () => shares.next(500, open)?.workspaces.map(({ id }) => id));
    expect(turns.map((turn) => turn?.length)).toEqual([7, 7, 7, 7, 7, 7, 7]);
    expect(new Set(turns.flat()).size).toBe(49);
  });

  it("treat a workspace as done only if no other turn holds a part of it", () => {
    const shares = new FairShare(new Steps([30]).workspaces(), LIMITLESS);
    const [one, other] = [shares.next(20), shares.next(20)];
    if (!one || !other) throw new Error("no turn");
    shares.taken(other, [], NONE);
    expect(shares.next(20)).toBeUndefined();
    expect(shares.underWay).toBe(true);
    shares.taken(one, [], NONE);
    const alone = shares.next(20);
    if (!alone) throw new Error("no turn");
    expect(alone.workspaces).toMatchObject([{ after: null }]);
    expect(shares.next(20)).toBeUndefined();
    shares.taken(alone, [], NONE);
    expect(shares.next(20)).toBeUndefined();
    expect(shares.wait).toBe(false);
  });

  it("take no turn if nothing is due", () => {
    expect(new FairShare([], 10).next(500)).toBeUndefined();
    expect(new FairShare(new Steps([1]).workspaces(), 10).next(500)).toMatchObject({ share: 10 });
  });
});

/** Returns the first `count` turns. */
function turnsOf(due: readonly number[], batchSize: number, count: number) {
  const steps = new Steps(due);
  const shares = new FairShare(steps.workspaces(), Number.POSITIVE_INFINITY);
  return Array.from({ length: count }, () => {
    const turn = shares.next(batchSize);
    if (!turn) throw new Error("no turn was left");
    shares.taken(turn, steps.claim(turn), NONE);
    return { workspaces: turn.workspaces.map(({ id }) => id), share: turn.share };
  });
}
