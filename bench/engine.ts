import { type LoadedDatabase, loadDatabase } from "./data.ts";
import { type Contestant, measureContestants } from "./engine/contestant.ts";
import { ceiling, engine, engineBesideSnapshot, engineFarAway } from "./engine/contestants.ts";
import { measureDecisions } from "./engine/decisions.ts";
import { makeAllDue, makeDue, noteDueInstances } from "./engine/due.ts";
import { openEngine } from "./engine/follow-ups.ts";
import { graphileWorker } from "./engine/graphile-worker.ts";
import { installPeers } from "./engine/install-peers.ts";
import { measureMemory } from "./engine/memory.ts";
import { pgBoss } from "./engine/pg-boss.ts";
import { type EngineMeasured, printEngine, verdictOnEngine } from "./engine/results.ts";
import { measureIdleRun, printIdleRun } from "./idle-run.ts";
import { progress } from "./print.ts";
import { FOLDER, printMachine, SERVER_LOG, withBenchServer } from "./server.ts";

const ROUNDS = 5;
const ROUND_TRIP_MS = 5;
const DECISION_SAMPLES = 5;

/** Measures how fast due steps are sent, compared with the database's ceiling and with two job queues. */
export async function benchEngine(options: { instances: number; keep: boolean }): Promise<boolean> {
  // First, so that a missing registry fails immediately.
  await installPeers();
  // Each contestant vacuums before its turn. Autovacuum could run in another contestant's turn.
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
    return verdictOnEngine(measured);
  } finally {
    for (const database of databases) await database.close();
  }
}

async function load(serverUrl: string, instances: number, databases: LoadedDatabase[]): Promise<LoadedDatabase> {
  const database = await loadDatabase(serverUrl, instances);
  databases.push(database);
  await noteDueInstances(database);
  return database;
}

async function measureOn(serverUrl: string, largest: LoadedDatabase, smaller: LoadedDatabase): Promise<EngineMeasured> {
  progress("whole runs with nothing to do");
  const idle = await measureIdleRun(largest, SERVER_LOG, FOLDER);
  printIdleRun(idle);

  const { contestants, roundTrips } = await enter(serverUrl, largest, smaller);
  const times = await measureContestants(ROUNDS, contestants).finally(() => closeAll(Object.values(contestants)));

  progress("decisions");
  const decisions = await decisionsOn(largest);
  progress(`memory: making all ${largest.instances} instances due`);
  await makeAllDue(largest);
  progress("memory: running");
  const memory = await measureMemory(largest.url);
  return { instances: largest.instances, idle, contestants, times, roundTrips, decisions, memory };
}

async function enter(serverUrl: string, largest: LoadedDatabase, smaller: LoadedDatabase) {
  const due = Math.round(largest.instances / 10);
  const { contestant: farAway, roundTrips } = await engineFarAway(largest, due, ROUND_TRIP_MS);
  const contestants = {
    engine: engine(largest, due),
    ceiling: ceiling(largest, due, 1),
    ceilingOnTwo: ceiling(largest, due, 2),
    graphileWorker: await graphileWorker(serverUrl, due / 50, "one-a-step"),
    graphileWorkerGathered: await graphileWorker(serverUrl, due, "gathered"),
    pgBoss: await pgBoss(serverUrl, due),
    farAway,
    besideSnapshot: engineBesideSnapshot(largest, due),
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
