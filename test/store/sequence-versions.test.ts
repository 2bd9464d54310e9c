import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { WrittenSequence, WrittenStep } from "../../lib/domain/written-sequence.ts";
import { planBatch } from "../../lib/run/plan.ts";
import { claimDue } from "../../lib/store/claim.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { SequenceRefused } from "../../lib/store/sequence-to-save.ts";
import { planSequences, saveSequences } from "../../lib/store/sequences.ts";
import { onPool } from "../../lib/store/sql.ts";
import { atEnd } from "../support/at-end.ts";
import { addFollowedLead, addWorkspace } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: test, sql: pool } = await useDatabase();
const database = openDatabase({ connectionString: test.url });
atEnd(() => database.close());

const stepOf = (key: string, body = key): WrittenStep => ({
  key,
  delayMinutes: 24 * 60,
  channel: "task",
  subject: null,
  body,
  allow: [],
  condition: "always",
  needsApproval: false,
  timeToLiveMinutes: null,
});
const chase = (keys: readonly string[], words = ""): WrittenSequence => ({
  name: "Chase",
  triggerOn: "no_response",
  active: true,
  steps: keys.map((key) => stepOf(key, `${key}${words}`)),
});
const save = (workspaceId: string, ...sequences: WrittenSequence[]) =>
  saveSequences(database.prisma, workspaceId, sequences);

const DAY_MS = 24 * 60 * 60_000;
const START = Date.parse("2030-01-07T12:00:00Z");

/** The claim of one run on that day. It advances due instances by a step. */
async function claimOn(workspaceId: string, day: number): Promise<void> {
  const now = new Date(START + day * DAY_MS);
  const query = {
    now,
    recheckAt: now,
    share: 100,
    workspaces: [{ id: workspaceId, capped: false, after: null }],
  };
  await claimDue(onPool(pool), query, (candidates) => planBatch(candidates, now).plans);
}

async function claimedKeys(instanceId: string): Promise<readonly string[]> {
  const { rows } = await pool.query<{ key: string }>(
    `select key from touch join follow_up_step as step on step.id = step_id
      where instance_id = $1 order by touch.claimed_at`,
    [instanceId],
  );
  return rows.map(({ key }) => key);
}

const keys = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e"), { minLength: 1, maxLength: 5 });
const move = fc.oneof(
  fc.record({ kind: fc.constant("save" as const), keys, words: fc.constantFrom("", "!") }),
  fc.record({ kind: fc.constantFrom("start" as const, "claim" as const, "claim" as const) }),
);

/** A workspace with one sequence, and operations that advance its days. */
async function openHouse(first: readonly string[]) {
  const workspaceId = await addWorkspace(pool);
  const [sequence] = await save(workspaceId, chase(first));
  const expected = new Map<string, readonly string[]>();
  let written = first;
  let day = 0;
  return {
    /** The expected step keys by instance. */
    expected,
    async got(): Promise<ReadonlyMap<string, readonly string[]>> {
      const got = [...expected.keys()].map(async (id) => [id, await claimedKeys(id)] as const);
      return new Map(await Promise.all(got));
    },
    claim: () => claimOn(workspaceId, day++),
    /** Claims all remaining steps: no instance has more than five. */
    async finish(): Promise<void> {
      for (let rest = 0; rest < 6; rest++) await claimOn(workspaceId, day++);
    },
    async start(): Promise<void> {
      const due = { next_step_due: new Date(START) };
      const { instanceId } = await addFollowedLead(pool, workspaceId, sequence?.id ?? "", { instance: due });
      expected.set(instanceId, written);
    },
    async save(next: { readonly keys: readonly string[]; readonly words: string }): Promise<void> {
      await save(workspaceId, chase(next.keys, next.words));
      written = next.keys;
    },
  };
}

describe("leads inside a sequence", () => {
  long.it("get each step of their version once, in order, however the sequence is rewritten", async () => {
    await fc.assert(
      fc.asyncProperty(keys, fc.array(move, { maxLength: 12 }), async (first, moves) => {
        const house = await openHouse(first);
        await house.start();
        for (const next of moves) await (next.kind === "save" ? house.save(next) : house[next.kind]());
        await house.finish();
        expect(await house.got()).toEqual(house.expected);
      }),
      { numRuns: 15 },
    );
  });

  it("get the texts of the latest file, in every version", async () => {
    const workspaceId = await addWorkspace(pool);
    const [sequence] = await save(workspaceId, chase(["a", "b"]));
    const { instanceId } = await addFollowedLead(pool, workspaceId, sequence?.id ?? "");
    await claimOn(workspaceId, 0);
    await save(workspaceId, chase(["c", "b", "a"], " corrected"));
    await claimOn(workspaceId, 2);
    const { rows } = await pool.query("select body from touch where instance_id = $1 order by claimed_at", [
      instanceId,
    ]);
    expect(rows).toEqual([{ body: "a" }, { body: "b corrected" }]);
  });
});

describe("several sequences", () => {
  it("are written all or none", async () => {
    const workspaceId = await addWorkspace(pool);
    const [held] = await save(workspaceId, chase(["a"]));
    await addFollowedLead(pool, workspaceId, held?.id ?? "");
    const other = { ...chase(["x"]), name: "Other" };
    await expect(save(workspaceId, other, { ...chase(["b"]), triggerOn: "manual" })).rejects.toThrow(SequenceRefused);
    const { rows } = await pool.query("select name from follow_up_sequence where workspace_id = $1", [workspaceId]);
    expect(rows).toEqual([{ name: "Chase" }]);
  });

  it("written concurrently in different orders are those of one writer", async () => {
    const workspaceId = await addWorkspace(pool);
    const names = ["A", "B", "C", "D"];
    const all = (key: string) => names.map((name) => ({ ...chase([key]), name }));
    for (let round = 0; round < 5; round++) {
      await Promise.all([save(workspaceId, ...all(`x-${round}`)), save(workspaceId, ...all(`y-${round}`).reverse())]);
      const { rows } = await pool.query(
        `select distinct key from follow_up_sequence as sequence
           join follow_up_step as step on step.sequence_id = sequence.id and step.version = sequence.version
          where sequence.workspace_id = $1`,
        [workspaceId],
      );
      expect(rows).toHaveLength(1);
    }
  });

  it("that two write at once and alike are written once", async () => {
    const workspaceId = await addWorkspace(pool);
    const saved = await Promise.all([1, 2, 3].map(() => save(workspaceId, chase(["a", "b"]))));
    expect(new Set(saved.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(saved[0]?.[0]?.version).toBe(1);
  });
});

describe("a confirmed change", () => {
  it("does not overwrite a change made since", async () => {
    const workspaceId = await addWorkspace(pool);
    await save(workspaceId, chase(["a"]));
    const mine = chase(["a", "b"]);
    const seen = await planSequences(database.prisma, workspaceId, [mine]);
    await save(workspaceId, chase(["a"], " by another"));
    await expect(saveSequences(database.prisma, workspaceId, [mine], seen)).rejects.toThrow(
      /changed since you reviewed it/,
    );
    const again = await planSequences(database.prisma, workspaceId, [mine]);
    expect((await saveSequences(database.prisma, workspaceId, [mine], again))[0]?.version).toBe(2);
  });

  it("does not conflict with an identical change", async () => {
    const workspaceId = await addWorkspace(pool);
    await save(workspaceId, chase(["a"]));
    const mine = chase(["a", "b"]);
    const seen = await planSequences(database.prisma, workspaceId, [mine]);
    const [first] = await save(workspaceId, mine);
    expect((await saveSequences(database.prisma, workspaceId, [mine], seen))[0]).toEqual(first);
  });

  it("waits for a concurrent writer, and then compares with its result", async () => {
    const workspaceId = await addWorkspace(pool);
    const [saved] = await save(workspaceId, chase(["a"]));
    const mine = chase(["a", "b"]);
    const seen = await planSequences(database.prisma, workspaceId, [mine]);
    const other = await openTransaction(pool);
    await other.query("select from follow_up_sequence where id = $1 for update", [saved?.id]);
    await other.query("update follow_up_step set body = 'by another' where sequence_id = $1", [saved?.id]);
    const mineSaved = saveSequences(database.prisma, workspaceId, [mine], seen).then(
      () => "saved",
      (thrown: Error) => thrown.message,
    );
    await untilBlockedBy(pool, other.pid);
    await other.commit();
    expect(await mineSaved).toMatch(/changed since you reviewed it/);
  });
});
