import type { RunPorts } from "../run/ports.ts";
import type { FollowUpStore } from "../run/store-ports.ts";
import { expireApprovals } from "./approvals.ts";
import { completeBooked } from "./backstop.ts";
import { claimDue, countDue, findDueWorkspaces } from "./claim.ts";
import type { Database } from "./connect.ts";
import { translateErrors } from "./database-errors.ts";
import { closeDigestWindows, isDigestDue } from "./digest-windows.ts";
import { claimDigests, countDigests, expireDigestLeases, settleDigest } from "./digests.ts";
import { checkGuardrail, findFlagged } from "./guardrail.ts";
import { refreshOffers } from "./refresh-offers.ts";
import { rehearsal } from "./rehearsal.ts";
import { resumePaused } from "./resume.ts";
import { finishRun, overlapLock, startRun } from "./runs.ts";
import { schemaGate } from "./schema-gate.ts";
import { readDetails, readSendFacts } from "./send-facts.ts";
import { databaseNow, exists, onPool, onSnapshot, type Transactional } from "./sql.ts";
import { startSending } from "./start-sending.ts";
import { suppressUndeliverable } from "./suppressions.ts";
import {
  claimAgain,
  countSendable,
  expireLeases,
  findLeftovers,
  findSendableWorkspaces,
  hasTouchesToRecover,
  release,
  reschedule,
  settle,
} from "./touches.ts";

/** The store's ports on a database. Database errors are translated to those of `ports.ts`. */
export function storePorts(
  database: Database,
): Omit<RunPorts, "channels" | "unsubscribeLinks" | "digests" | "queue" | "log"> {
  const { prisma, pool } = database;
  const statements = onPool(pool);
  return {
    now: () => databaseNow(statements),
    missingSchema: schemaGate(database),
    workspaceExists: (id) => exists(statements)`select from workspace where id = ${id}::uuid`,
    lock: overlapLock(pool),
    runs: {
      start: (run) => translateErrors(startRun(prisma, run)),
      finish: (runId, report, finishedAt) => translateErrors(finishRun(prisma, runId, report, finishedAt)),
    },
    store: followUpStore(statements),
    rehearse: (work) => onSnapshot(pool, (snapshot) => work({ ...followUpStore(snapshot), ...rehearsal(snapshot) })),
  };
}

function followUpStore(db: Transactional): FollowUpStore {
  return {
    completeBooked: (query) => completeBooked(db, query),
    resumePaused: (reason, query) => resumePaused(db, reason, query),
    findFlagged: (query) => findFlagged(db, query),
    checkGuardrail: (query, exceeded) => checkGuardrail(db, query, exceeded),
    claimDue: (query, plan) => claimDue(db, query, plan),
    findDueWorkspaces: (query) => findDueWorkspaces(db, query),
    countDue: (query) => countDue(db, query),
    startSending: (touchIds, lease) => startSending(db, touchIds, lease),
    refreshOffers: (touchIds, now) => refreshOffers(db, touchIds, now),
    readDetails: (touchIds) => readDetails(db, touchIds),
    readSendFacts: (touchIds) => readSendFacts(db, touchIds),
    reschedule: (touches) => reschedule(db, touches),
    release: (touchIds, now) => release(db, touchIds, now),
    hasTouchesToRecover: (query) => hasTouchesToRecover(db, query),
    expireApprovals: (query) => expireApprovals(db, query),
    expireLeases: (query) => expireLeases(db, query),
    findSendableWorkspaces: (query, recheckAt) => findSendableWorkspaces(db, query, recheckAt),
    countSendable: (query) => countSendable(db, query),
    findLeftovers: (query) => findLeftovers(db, query),
    claimAgain: (touchIds, now, recheckAt) => claimAgain(db, touchIds, now, recheckAt),
    settle: async (settlements, now) => {
      await settle(db, settlements, now);
      await suppressUndeliverable(db, settlements, now);
    },
    isDigestDue: (query) => isDigestDue(db, query),
    closeDigestWindows: (query, close) => closeDigestWindows(db, query, close),
    expireDigestLeases: (query) => expireDigestLeases(db, query),
    countDigests: (query) => countDigests(db, query, "pending"),
    claimDigests: (query, leaseUntil) => claimDigests(db, query, leaseUntil),
    settleDigest: (settlement, now) => settleDigest(db, settlement, now),
  };
}
