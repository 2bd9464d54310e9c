import { AdaptiveBatch } from "./adaptive-batch.ts";
import { ChannelHealth } from "./channel-health.ts";
import { leaseOf } from "./deliver.ts";
import { PlannedTouches } from "./plan.ts";
import { DatabaseUnreachable, type HeldLock, type RunPorts, SchemaOutOfDate, UnsafeDatabaseSettings } from "./ports.ts";
import { rateLimitedChannels } from "./rate-limit.ts";
import { imbalances, type LockHolder, noSteps, PROBLEMS_REPORTED, type Reason, type Report } from "./report.ts";
import { parseRequest, type RunRequest, type StepName } from "./request.ts";
import { runSteps } from "./run-steps.ts";
import { RunTime } from "./run-time.ts";
import type { RunContext, RunSettings, RunStep } from "./step.ts";
import { backstop } from "./steps/backstop.ts";
import { notificationDigests } from "./steps/notification-digests.ts";
import { recoverTouches } from "./steps/recover-touches.ts";
import { resumeAwaitingEnrichment, resumeGhosted, resumeSnoozed } from "./steps/resume.ts";
import { sendDue } from "./steps/send-due.ts";
import { Throughput } from "./throughput.ts";

/** The steps in order. */
const STEPS: readonly RunStep[] = [
  backstop,
  resumeSnoozed,
  resumeGhosted,
  resumeAwaitingEnrichment,
  recoverTouches,
  sendDue,
  notificationDigests,
];

/** The platform's data about one invocation. */
export interface Invocation {
  readonly requestId: string;
  /** Milliseconds until the invocation is cut off. */
  readonly remainingMs: () => number;
}

/** A run for an unknown workspace would report zeros, which look like success. */
class UnknownWorkspace extends Error {
  override readonly name = "UnknownWorkspace";
  constructor(workspaceId: string) {
    super(`workspaceId: there is no workspace ${workspaceId}`);
  }
}

/** Grace period after the holder's deadline; a lock held longer is stale. */
const STALE_AFTER_MS = 5_000;

/** How long a touch may wait in the delivery queue before its message counts as lost. */
const QUEUE_PATIENCE_MS = 15 * 60_000;

/**
 * Performs one run: parse → schema gate → lock → backstop → the other steps → report. Never throws for external
 * failures: the report lists them, and its `success` is computed.
 */
export async function runFollowUps(
  event: unknown,
  invocation: Invocation,
  ports: RunPorts,
  settings: RunSettings,
): Promise<Report> {
  const startedMs = performance.now();
  const parsed = parseRequest(event);
  const report: Report = {
    statusCode: 200,
    success: true,
    errors: [],
    skipped: false,
    ...noSteps(),
    channelFaults: [],
    runId: null,
    trigger: parsed.ok ? parsed.request.trigger : parsed.trigger,
    dryRun: parsed.ok && parsed.request.dryRun,
    timestamp: null,
    durationMs: 0,
  };
  try {
    if (parsed.ok) await runParsed(parsed.request, report, { invocation, ports, settings });
    else Object.assign(report, { statusCode: 400, reason: "invalid_event", errors: [...parsed.faults] });
  } catch (thrown) {
    tellFault(report, thrown);
    ports.log.error("run.failed", { error: thrown });
  }
  report.errors.push(...imbalances(report));
  conclude(report, startedMs);
  await leaveRecord(report, ports, startedMs);
  ports.log[report.success ? "info" : "error"]("run.finished", { report });
  return report;
}

interface Means {
  readonly invocation: Invocation;
  readonly ports: RunPorts;
  readonly settings: RunSettings;
}

async function runParsed(request: RunRequest, report: Report, { invocation, ports, settings }: Means): Promise<void> {
  const missing = await ports.missingSchema();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
  const now = await ports.now();
  report.timestamp = now.toISOString();
  if (request.workspaceId && !(await ports.workspaceExists(request.workspaceId))) {
    throw new UnknownWorkspace(request.workspaceId);
  }

  const { lock, holder } = await acquire(ports);
  try {
    const deadlineAt = new Date(now.getTime() + invocation.remainingMs());
    if (!request.dryRun) {
      report.runId = await ports.runs.start({
        request,
        requestId: invocation.requestId,
        startedAt: now,
        deadlineAt,
        lockPid: lock?.pid ?? null,
      });
    }
    const only = stepsAllowed(request, holder, now, report);
    const steps = STEPS.filter((step) => only.includes(step.name));
    const { remainingMs } = invocation;
    const { safetyMarginMs, sendsAtOnce } = settings;
    const time = new RunTime({ remainingMs, safetyMarginMs, goesOn: () => isHeld(lock) });
    const throughput = new Throughput(remainingMs, sendsAtOnce);
    await runOrRehearse(steps, { now, request, settings, throughput, time }, report, ports, invocation);
    tellEnd(report, time, throughput, isHeld(lock));
    if (report.backstop === null && steps.includes(backstop)) {
      report.errors.push("backstop: not begun; the invocation had less time left than the safety margin");
    }
  } finally {
    await lock?.release();
  }
}

/** Sets the reason why a run did not finish its work. */
function tellEnd(report: Report, time: RunTime, throughput: Throughput, isHeld: boolean): void {
  const noMoreCanBeSent = (report.results?.backlog ?? 0) > 0 && throughput.isSpent(time.leftOf("send-due")());
  if (!isHeld) {
    report.reason ??= "lock_lost";
    report.errors.push("the connection that held the overlap lock died; no new work was started after that");
  } else if (time.isOver || noMoreCanBeSent) report.reason ??= "out_of_time";
}

/** Retries, because another run may release the lock between the attempt and the lookup of the holder. */
async function acquire({ lock }: RunPorts): Promise<{ lock?: HeldLock; holder?: LockHolder }> {
  for (let attempt = 1; attempt <= 10; attempt++) {
    const held = await lock.tryAcquire();
    if (held) return { lock: held };
    const holder = await lock.holder();
    if (holder) return { holder };
  }
  throw new Error("the overlap lock is neither free nor held by anybody that the database can name");
}

const isHeld = (lock: HeldLock | undefined): boolean => lock === undefined || lock.isHeld();

/** While another run holds the lock, only the backstop runs, unless that run is past its deadline. */
function stepsAllowed(
  request: RunRequest,
  holder: LockHolder | undefined,
  now: Date,
  report: Report,
): readonly StepName[] {
  const asked = request.only ?? STEPS.map((step) => step.name);
  if (!holder) return asked;
  if (holder.deadlineAt !== null && now.getTime() > Date.parse(holder.deadlineAt) + STALE_AFTER_MS) {
    report.staleLock = holder;
    return asked;
  }
  report.skipped = true;
  report.reason = "locked";
  report.heldBy = holder;
  return ["backstop"];
}

async function runOrRehearse(
  steps: readonly RunStep[],
  given: Pick<RunContext, "now" | "request" | "settings" | "throughput"> & { readonly time: RunTime },
  report: Report,
  ports: RunPorts,
  invocation: Invocation,
): Promise<void> {
  const { queue, log } = ports;
  const { now, settings, request, throughput, time } = given;
  const { remainingMs } = invocation;
  const leftToSend = time.leftOf("send-due");
  const leaseUntil = leaseOf(invocation, now);
  const health = new ChannelHealth();
  const stopping = () => leftToSend() < 0;
  const means = {
    now,
    settings,
    request,
    channels: rateLimitedChannels(ports.channels, { sendsAtOnce: settings.sendsAtOnce, stopping, health }),
    health,
    digests: ports.digests,
    queue,
    log,
    leaseUntil,
    claimedUntil: queue ? new Date(now.getTime() + QUEUE_PATIENCE_MS) : leaseUntil,
    adaptiveBatch: new AdaptiveBatch(),
    remainingMs,
    throughput,
  };
  const run = async (where: Pick<RunContext, "store" | "rehearsal">) => {
    const contextOf = (step: RunStep): RunContext => {
      const leftMs = time.leftOf(step.name);
      return { ...means, ...where, leftMs, stopping: () => leftMs() < 0 };
    };
    for (const { step, thrown } of await runSteps(steps, contextOf, report)) tellFault(report, thrown, `${step}: `);
    reportChannels(report, health, log);
  };
  if (!request.dryRun) {
    await run({ store: ports.store, rehearsal: null });
    return;
  }
  const sample: Report["sample"] = [];
  report.sample = sample;
  await ports.rehearse((store) => run({ store, rehearsal: { sample, planned: new PlannedTouches() } }));
}

/** A channel that fails for all workspaces fails the run; a fault of one workspace does not. */
function reportChannels(report: Report, health: ChannelHealth, log: RunPorts["log"]): void {
  const faults = health.faults();
  report.channelFaults = faults.slice(0, PROBLEMS_REPORTED);
  for (const fault of report.channelFaults) log.error("channel.down", { ...fault });
  for (const { channel, workspaceId, reason } of faults) {
    if (workspaceId === null) report.errors.push(`channel ${channel}: takes nothing (${reason}); its touches wait`);
  }
}

function tellFault(report: Report, thrown: unknown, where = ""): void {
  report.errors.push(`${where}${thrown instanceof Error ? thrown.message : String(thrown)}`);
  if (thrown instanceof SchemaOutOfDate) {
    Object.assign(report, { reason: thrown.code, missing: [...(report.missing ?? []), ...thrown.missing] });
  } else if (thrown instanceof UnsafeDatabaseSettings) {
    Object.assign(report, { reason: thrown.code, unsafeSettings: thrown.settings });
  } else if (thrown instanceof DatabaseUnreachable) report.reason = thrown.code;
  else if (thrown instanceof UnknownWorkspace) Object.assign(report, { statusCode: 400, reason: "invalid_event" });
}

/** Reasons that the database must fix, not the run. */
const REFUSALS: readonly Reason[] = ["schema_out_of_date", "unsafe_database_settings", "database_unreachable"];

/** Computes success, status code and duration. */
function conclude(report: Report, startedMs: number): void {
  report.success = report.errors.length === 0;
  const refused = report.reason !== undefined && REFUSALS.includes(report.reason);
  if (!report.success && report.statusCode === 200) report.statusCode = refused ? 503 : 500;
  report.durationMs = Math.round(performance.now() - startedMs);
}

/** Stores the report. If that fails, the report is still returned and logged, with one more error. */
async function leaveRecord(report: Report, { runs, log }: RunPorts, startedMs: number): Promise<void> {
  if (report.runId === null || report.timestamp === null) return;
  try {
    await runs.finish(report.runId, report, new Date(Date.parse(report.timestamp) + report.durationMs));
  } catch (thrown) {
    log.error("run.not_recorded", { runId: report.runId, error: thrown });
    tellFault(report, thrown);
    conclude(report, startedMs);
  }
}
