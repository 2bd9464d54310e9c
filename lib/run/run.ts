import { ChannelHealth } from "./channel-health.ts";
import { leaseOf } from "./delivery-ports.ts";
import { PlannedTouches } from "./plan.ts";
import { type HeldLock, type LockHolder, type RunPorts, SchemaOutOfDate } from "./ports.ts";
import { rateLimitedChannels } from "./rate-limit.ts";
import { addFault, conclude, imbalances, type Report, UnknownWorkspace } from "./report.ts";
import { parseRequest, type RunRequest } from "./request.ts";
import type { AnyStep, RunSettings } from "./step.ts";
import { PROBLEMS_REPORTED } from "./step-reports.ts";
import { sendDue } from "./steps/send-due.ts";
import { noSteps, RunTime, runSteps, type SharedContext, STEPS, type StepName } from "./steps.ts";
import { AdaptiveBatch, Throughput } from "./throughput.ts";
import { linkedChannels } from "./unsubscribe-links.ts";

/** The platform's data about one invocation. */
interface Invocation {
  readonly requestId: string;
  /** Milliseconds until the invocation is cut off. */
  readonly remainingMs: () => number;
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
    unsubscribeLinks: ports.unsubscribeLinks !== null,
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
    addFault(report, thrown);
    ports.log.error("run.failed", { error: thrown });
  }
  report.errors.push(...imbalances(report));
  conclude(report, startedMs);
  await storeReport(report, ports, startedMs);
  ports.log[report.success ? "info" : "error"]("run.finished", { report });
  return report;
}

interface Means {
  readonly invocation: Invocation;
  readonly ports: RunPorts;
  readonly settings: RunSettings;
}

async function runParsed(request: RunRequest, report: Report, means: Means): Promise<void> {
  const { ports, invocation } = means;
  const missing = await ports.missingSchema();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
  const now = await ports.now();
  report.timestamp = now.toISOString();
  if (request.workspaceId && !(await ports.workspaceExists(request.workspaceId))) {
    throw new UnknownWorkspace(request.workspaceId);
  }
  const { lock, holder } = await acquire(ports);
  try {
    if (!request.dryRun) {
      report.runId = await ports.runs.start({
        trigger: request.trigger,
        scheduledTime: request.scheduledTime ?? null,
        requestId: invocation.requestId,
        startedAt: now,
        deadlineAt: new Date(now.getTime() + invocation.remainingMs()),
        lockPid: lock?.pid ?? null,
      });
    }
    const allowed = stepsAllowed(request, holder, now, report);
    const steps = STEPS.filter(({ name }) => allowed.includes(name));
    await runAllowed(steps, request, report, { ...means, now, isHeld: () => lock === undefined || lock.isHeld() });
  } finally {
    await lock?.release();
  }
}

interface Started extends Means {
  readonly now: Date;
  /** False once the connection that held the lock has died. */
  readonly isHeld: () => boolean;
}

/** Runs the steps on the database, or for a dry run on a read-only snapshot. */
async function runAllowed(
  steps: readonly AnyStep[],
  request: RunRequest,
  report: Report,
  started: Started,
): Promise<void> {
  const { invocation, ports, settings, isHeld } = started;
  const { remainingMs } = invocation;
  const time = new RunTime({ remainingMs, safetyMarginMs: settings.safetyMarginMs, goesOn: isHeld });
  const context = contextOf(request, time, started);
  if (request.dryRun) {
    const rehearsal = { sample: [], planned: new PlannedTouches() };
    report.sample = rehearsal.sample;
    await ports.rehearse((store) => runAndReport(steps, { ...context, store, rehearsal }, time, report));
  } else await runAndReport(steps, { ...context, store: ports.store, rehearsal: null }, time, report);
  addEnd(report, time, context.throughput, isHeld());
  if (report.backstop === null && steps.some(({ name }) => name === "backstop")) {
    report.errors.push("backstop: not started; the invocation had less time left than the safety margin");
  }
}

function contextOf(
  request: RunRequest,
  time: RunTime,
  { invocation, ports, settings, now }: Started,
): Omit<SharedContext, "store" | "rehearsal"> {
  const { queue, digests, log } = ports;
  const { remainingMs } = invocation;
  const leftToSend = time.leftFor(sendDue);
  const health = new ChannelHealth();
  const limits = { sendsAtOnce: settings.sendsAtOnce, stopping: () => leftToSend() < 0, health };
  const leaseUntil = leaseOf(invocation, now);
  return {
    now,
    settings,
    batch: { now, limit: settings.batchSize, workspaceId: request.workspaceId ?? null },
    limit: request.limit ?? Number.POSITIVE_INFINITY,
    channels: rateLimitedChannels(linkedChannels(ports.channels, ports.unsubscribeLinks), limits),
    health,
    digests,
    queue,
    log,
    leaseUntil,
    claimedUntil: queue ? new Date(now.getTime() + QUEUE_PATIENCE_MS) : leaseUntil,
    adaptiveBatch: new AdaptiveBatch(),
    remainingMs,
    throughput: new Throughput(remainingMs, settings.sendsAtOnce),
  };
}

async function runAndReport(
  steps: readonly AnyStep[],
  context: SharedContext,
  time: RunTime,
  report: Report,
): Promise<void> {
  const faults = await runSteps(steps, context, time, report);
  for (const { step, thrown } of faults) addFault(report, thrown, `${step}: `);
  addChannelFaults(report, context);
}

/** Sets the reason why a run did not finish its work. */
function addEnd(report: Report, time: RunTime, throughput: Throughput, isHeld: boolean): void {
  const noMoreCanBeSent = (report.results?.backlog ?? 0) > 0 && throughput.isSpent(time.leftFor(sendDue)());
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
  throw new Error("the overlap lock is neither free nor held by a session that the database can name");
}

/** While another run holds the lock, only the backstop runs, unless that run is past its deadline. */
function stepsAllowed(
  request: RunRequest,
  holder: LockHolder | undefined,
  now: Date,
  report: Report,
): readonly StepName[] {
  const requested = request.only ?? STEPS.map(({ name }) => name);
  if (!holder) return requested;
  if (holder.deadlineAt !== null && now.getTime() > Date.parse(holder.deadlineAt) + STALE_AFTER_MS) {
    report.staleLock = holder;
    return requested;
  }
  report.skipped = true;
  report.reason = "locked";
  report.heldBy = holder;
  return ["backstop"];
}

/** A channel that fails for all workspaces fails the run; a fault of one workspace does not. */
function addChannelFaults(report: Report, { health, log }: Pick<SharedContext, "health" | "log">): void {
  const faults = health.faults();
  report.channelFaults = faults.slice(0, PROBLEMS_REPORTED);
  for (const fault of report.channelFaults) log.error("channel.down", { ...fault });
  for (const { channel, workspaceId, reason } of faults) {
    if (workspaceId === null) report.errors.push(`channel ${channel}: takes nothing (${reason}); its touches wait`);
  }
}

/** Stores the report. If that fails, the report is still returned and logged, with one more error. */
async function storeReport(report: Report, { runs, log }: RunPorts, startedMs: number): Promise<void> {
  if (report.runId === null || report.timestamp === null) return;
  try {
    await runs.finish(report.runId, report, new Date(Date.parse(report.timestamp) + report.durationMs));
  } catch (thrown) {
    log.error("run.not_recorded", { runId: report.runId, error: thrown });
    addFault(report, thrown);
    conclude(report, startedMs);
  }
}
