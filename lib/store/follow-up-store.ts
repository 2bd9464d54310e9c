import type { FollowUpStore, RunPorts } from "../run/ports.ts";
import { completeBooked } from "./backstop.ts";
import { claimDue, countDue, findDueWorkspaces } from "./claim.ts";
import { databaseNow } from "./clock.ts";
import type { Database } from "./connect.ts";
import { closeDigestWindows, isDigestDue } from "./digest-windows.ts";
import { claimDigests, countDigests, expireDigestLeases, settleDigest } from "./digests.ts";
import { expireWaiting } from "./expire-waiting.ts";
import { told, translated } from "./faults.ts";
import { overlapLock } from "./overlap-lock.ts";
import { onPool, onSnapshot, type Transactional } from "./queryable.ts";
import { rehearsal } from "./rehearsal.ts";
import { resumeAwaitingEnrichment, resumeGhosted, resumeSnoozed } from "./resume.ts";
import { beginRun, finishRun } from "./runs.ts";
import { schemaGate } from "./schema-gate.ts";
import { readSendFacts, startSending } from "./start-sending.ts";
import { suppressUndeliverable } from "./suppressions.ts";
import {
  claimAgain,
  countWaiting,
  expireLeases,
  findLeftBehind,
  findWaiting,
  isTouchLeftBehind,
  release,
  reschedule,
  settle,
} from "./touches.ts";

/** The store's ports on a database. Database errors are translated to those of `ports.ts`. */
export function storePorts(database: Database): Omit<RunPorts, "channels" | "digests" | "queue" | "log"> {
  const { prisma, pool } = database;
  const statements = onPool(pool);
  const lock = overlapLock(pool);
  return {
    now: () => told(databaseNow(statements)),
    missingSchema: schemaGate(database),
    workspaceExists: async (id) => (await told(prisma.workspace.count({ where: { id } }))) === 1,
    lock: { tryAcquire: () => told(lock.tryAcquire()), holder: () => told(lock.holder()) },
    runs: {
      begin: (run) => told(beginRun(prisma, run)),
      finish: (runId, report, finishedAt) => told(finishRun(prisma, runId, report, finishedAt)),
    },
    store: followUpStore(statements),
    rehearse: async (work) => {
      try {
        await onSnapshot(pool, (snapshot) => work({ ...followUpStore(snapshot), ...rehearsal(snapshot) }));
      } catch (thrown) {
        throw translated(thrown);
      }
    },
  };
}

function followUpStore(db: Transactional): FollowUpStore {
  return {
    completeBooked: (query) => told(completeBooked(db, query)),
    resumeSnoozed: (query) => told(resumeSnoozed(db, query)),
    resumeGhosted: (query) => told(resumeGhosted(db, query)),
    resumeAwaitingEnrichment: (query) => told(resumeAwaitingEnrichment(db, query)),
    claimDue: (query, plan) => told(claimDue(db, query, plan)),
    findDueWorkspaces: (query) => told(findDueWorkspaces(db, query)),
    countDue: (query) => told(countDue(db, query)),
    startSending: (touchIds, lease) => told(startSending(db, touchIds, lease)),
    readSendFacts: (touchIds) => told(readSendFacts(db, touchIds)),
    reschedule: (touches) => told(reschedule(db, touches)),
    release: (touchIds, now) => told(release(db, touchIds, now)),
    isTouchLeftBehind: (query) => told(isTouchLeftBehind(db, query)),
    expireWaiting: (query) => told(expireWaiting(db, query)),
    expireLeases: (query) => told(expireLeases(db, query)),
    findWaiting: (query, recheckAt) => told(findWaiting(db, query, recheckAt)),
    countWaiting: (query) => told(countWaiting(db, query)),
    findLeftBehind: (query) => told(findLeftBehind(db, query)),
    claimAgain: (touchIds, now, recheckAt) => told(claimAgain(db, touchIds, now, recheckAt)),
    settle: async (settlements, now) => {
      await told(settle(db, settlements, now));
      await told(suppressUndeliverable(db, settlements, now));
    },
    isDigestDue: (query) => told(isDigestDue(db, query)),
    closeDigestWindows: (query, close) => told(closeDigestWindows(db, query, close)),
    expireDigestLeases: (query) => told(expireDigestLeases(db, query)),
    countDigests: (query) => told(countDigests(db, query, "pending")),
    claimDigests: (query, leaseUntil) => told(claimDigests(db, query, leaseUntil)),
    settleDigest: (settlement, now) => told(settleDigest(db, settlement, now)),
  };
}
