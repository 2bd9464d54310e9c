import { decide } from "../lib/domain/decide.ts";
import type { DueItem } from "../lib/domain/due-item.ts";
import type { RunPorts } from "../lib/run/ports.ts";
import { runFollowUps } from "../lib/run/run.ts";
import type { FollowUpStore } from "../lib/run/store-ports.ts";
import { FOLDER, type LoadedDatabase, loadDatabase, printMachine, SERVER_LOG, withBenchServer } from "./database.ts";
import {
  type Contestant,
  ceiling,
  distantEngine,
  engine,
  engineWithSnapshot,
  measureContestants,
} from "./engine/contestants.ts";
import { makeAllDue, makeDue, selectDueInstances } from "./engine/due.ts";
import { type Engine, openEngine } from "./engine/follow-ups.ts";
import { graphileWorker } from "./engine/graphile-worker.ts";
import { measureMemory } from "./engine/memory.ts";
import { installPeers } from "./engine/peers.ts";
import { pgBoss } from "./engine/pg-boss.ts";
import { checkEngineTargets, type EngineMeasured, printEngine } from "./engine/results.ts";
import { count, millisecondsOf, progress } from "./figures.ts";
import { measureIdleRun, printIdleRun } from "./idle-run.ts";

const ROUNDS = 5;
const ROUND_TRIP_MS = 5;
const DECISION_SAMPLES = 5;

/** Measures how fast due steps are sent, compared with the database's ceiling and with two job queues. */
export async function benchEngine(options: { instances: number; keep: boolean }): Promise<boolean> {
  // First, so that a missing registry fails immediately.
  await installPeers();
  // Each contestant vacuums before its turn. Autovacuum would disturb other contestants.
  const server = { keep: options.keep, settings: { autovacuum: "off" } };
  return await withBenchServer(server, (url) => measureAll(url, options.instances));
}

async function measureAll(serverUrl: string, instances: number): Promise<boolean> {
  const databases: LoadedDatabase[] = [];
  try {
    const smaller = await load(serverUrl, Math.round(instances / 10), databases);
    const largest = await load(serverUrl, instances, databases);
    await printMachine(largest);
    const measured = await measureOn(serverUrl, largest, smaller);
    printEngine(measured);
    return checkEngineTargets(measured);
  } finally {
    for (const database of databases) await database.close();
  }
}

async function load(serverUrl: string, instances: number, databases: LoadedDatabase[]): Promise<LoadedDatabase> {
  const database = await loadDatabase(serverUrl, instances);
  databases.push(database);
  await selectDueInstances(database);
  return database;
}

async function measureOn(serverUrl: string, largest: LoadedDatabase, smaller: LoadedDatabase): Promise<EngineMeasured> {
  progress("Whole runs with nothing to do");
  const idle = await measureIdleRun(largest, SERVER_LOG, FOLDER);
  printIdleRun(idle);

  const { contestants, roundTrips } = await openContestants(serverUrl, largest, smaller);
  const times = await measureContestants(ROUNDS, contestants).finally(() => closeAll(Object.values(contestants)));

  progress("Decisions");
  const decisions = await decisionsOn(largest);
  progress(`Memory: making all ${count(largest.instances)} instances due`);
  await makeAllDue(largest);
  progress("Memory: running");
  const memory = await measureMemory(largest.url);
  return { instances: largest.instances, idle, contestants, times, roundTrips, decisions, memory };
}

async function openContestants(serverUrl: string, largest: LoadedDatabase, smaller: LoadedDatabase) {
  const due = Math.round(largest.instances / 10);
  const { contestant: distant, roundTrips } = await distantEngine(largest, due, ROUND_TRIP_MS);
  const contestants = {
    engine: engine(largest, due),
    ceiling: ceiling(largest, due, 1),
    ceilingOnTwo: ceiling(largest, due, 2),
    graphileWorker: await graphileWorker(serverUrl, due / 50, "one-per-step"),
    graphileWorkerBatched: await graphileWorker(serverUrl, due, "batched"),
    pgBoss: await pgBoss(serverUrl, due),
    distant,
    withSnapshot: engineWithSnapshot(largest, due),
    tenthDue: engine(largest, due / 10),
    hundredthDue: engine(largest, due / 100),
    tenthExisting: engine(smaller, due / 10),
  };
  return { contestants, roundTrips };
}

async function closeAll(contestants: readonly Contestant[]): Promise<void> {
  for (const contestant of contestants) await contestant.close();
}

async function decisionsOn(database: LoadedDatabase): Promise<readonly number[]> {
  await makeDue(database, database.instances / 10);
  const opened = openEngine(database.url);
  try {
    return await measureDecisions(opened, DECISION_SAMPLES);
  } finally {
    await opened.close();
  }
}

const ITEMS = 1_000;
const SAMPLE_MS = 1_000;

/** Calls of `decide` per second, one figure per sample, on items that a dry run read from the database. */
async function measureDecisions(engine: Engine, samples: number): Promise<readonly number[]> {
  const items = await readItems(engine);
  const now = await engine.ports.now();
  const decideAll = async () => {
    for (const item of items) {
      const { kind } = decide(item, now);
      if (kind !== "send") throw new Error(`expected the decision send, got ${kind}`);
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
  const rehearse: RunPorts["rehearse"] = (work) => ports.rehearse((store) => work(recording(store, items)));
  const invocation = { requestId: "bench", remainingMs: () => 60_000 };
  await runFollowUps({ dryRun: true, limit: ITEMS }, invocation, { ...ports, rehearse }, settings);
  if (items.length === 0) throw new Error("the dry run read no due instances");
  return items;
}

/** The store, which also adds each candidate to `items`. */
function recording(store: FollowUpStore, items: DueItem[]): FollowUpStore {
  return {
    ...store,
    claimDue: (query, plan) =>
      store.claimDue(query, (candidates) => {
        for (const { read } of candidates) if ("item" in read) items.push(read.item);
        return plan(candidates);
      }),
  };
}
