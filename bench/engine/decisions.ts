import { decide } from "../../lib/domain/decide.ts";
import type { DueItem } from "../../lib/domain/due-item.ts";
import type { RunPorts } from "../../lib/run/ports.ts";
import { runFollowUps } from "../../lib/run/run.ts";
import type { FollowUpStore } from "../../lib/run/store-ports.ts";
import { millisecondsOf } from "../measure.ts";
import type { Engine } from "./follow-ups.ts";

const ITEMS = 1_000;
const SAMPLE_MS = 1_000;

/** Calls of `decide` per second, one figure per sample, on items that a dry run read from the database. */
export async function measureDecisions(engine: Engine, samples: number): Promise<readonly number[]> {
  const items = await readItems(engine);
  const now = await engine.ports.now();
  const decideAll = async () => {
    for (const item of items) {
      const { kind } = decide(item, now);
      if (kind !== "send") throw new Error(`the decision was to be send, not ${kind}`);
    }
  };
  await millisecondsOf(() => repeat(decideAll));
  const rates: number[] = [];
  while (rates.length < samples) {
    let passes = 0;
    const milliseconds = await millisecondsOf(async () => {
      passes = await repeat(decideAll);
    });
    rates.push((passes * items.length * 1_000) / milliseconds);
  }
  return rates;
}

async function repeat(work: () => Promise<void>): Promise<number> {
  const end = performance.now() + SAMPLE_MS;
  let passes = 0;
  while (performance.now() < end) {
    await work();
    passes++;
  }
  return passes;
}

async function readItems({ ports, settings }: Engine): Promise<readonly DueItem[]> {
  const items: DueItem[] = [];
  const rehearse: RunPorts["rehearse"] = (work) => ports.rehearse((store) => work(listening(store, items)));
  const invocation = { requestId: "bench", remainingMs: () => 60_000 };
  await runFollowUps({ dryRun: true, limit: ITEMS }, invocation, { ...ports, rehearse }, settings);
  if (items.length === 0) throw new Error("the dry run read nothing to decide on");
  return items;
}

/** The store, which also collects in `items` each candidate that it passes to `plan`. */
function listening(store: FollowUpStore, items: DueItem[]): FollowUpStore {
  return {
    ...store,
    claimDue: (query, plan) =>
      store.claimDue(query, (candidates) => {
        for (const { read } of candidates) if ("item" in read) items.push(read.item);
        return plan(candidates);
      }),
  };
}
