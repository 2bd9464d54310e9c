import type { ClaimedTouches } from "../deliver.ts";
import { dispatch } from "../dispatch.ts";
import { type DecidedPlan, planner } from "../plan.ts";
import type { ClaimedPlan, ClaimQuery, DueCandidate, DueWorkspace } from "../ports.ts";
import { tellProblem } from "../problems.ts";
import { BACKLOG_COUNTED, noDelivery, PROBLEMS_TOLD, type SampleDecision, type SendDueReport } from "../report.ts";
import { Rounds, type Turn } from "../rounds.ts";
import type { RunContext, RunStep } from "../step.ts";

const DUE_WORKSPACES_AT_MOST = 10_000;

/** Claims what is due in batches, decides on it, and sends what was claimed before it claims more. */
export const sendDue: RunStep = {
  name: "send-due",
  sends: true,
  async run(context, reports) {
    const { now, request, store, settings } = context;
    const report = emptyReport(request.dryRun);
    reports.results = report;
    const query = { now, workspaceId: request.workspaceId ?? null };
    const due = await store.findDueWorkspaces({ ...query, limit: DUE_WORKSPACES_AT_MOST });
    tellOldest(report, due, now);
    const rounds = new Rounds(due, request.limit ?? Number.POSITIVE_INFINITY);
    // A dry run has one connection, on which no two can work at once.
    await allOf(request.dryRun ? 1 : settings.claimers, (failed) => claimInTurns(context, rounds, report, failed));
    report.backlog = due.length === 0 ? 0 : await store.countDue({ ...query, limit: BACKLOG_COUNTED });
  },
};

/** Lets all come to their end, also when one fails: what they did has to be counted. Throws what the first threw. */
async function allOf(workers: number, work: (failed: () => boolean) => Promise<void>): Promise<void> {
  const thrown: unknown[] = [];
  const one = () => work(() => thrown.length > 0).catch((fault: unknown) => thrown.push(fault));
  await Promise.all(Array.from({ length: workers }, one));
  if (thrown.length > 0) throw thrown[0];
}

async function claimInTurns(
  context: RunContext,
  rounds: Rounds,
  report: SendDueReport,
  failed: () => boolean,
): Promise<void> {
  while (!context.stopping() && !failed()) {
    const turn = rounds.next(context.settings.batchSize);
    if (!turn) return;
    const claimed = await claimTurn(context, rounds, turn, report);
    if (report.delivery) await dispatch(context, claimed, report.delivery);
  }
}

function tellOldest(report: SendDueReport, due: readonly DueWorkspace[], now: Date): void {
  for (const { id, oldestDue } of due.slice(0, PROBLEMS_TOLD)) {
    report.oldestDueSecondsByWorkspace[id] = Math.max(0, (now.getTime() - oldestDue.getTime()) / 1_000);
  }
  report.oldestDueSeconds = Math.max(0, ...Object.values(report.oldestDueSecondsByWorkspace));
}

const emptyReport = (dryRun: boolean): SendDueReport => ({
  due: 0,
  claimed: 0,
  held: 0,
  paused: 0,
  skipped: 0,
  completed: 0,
  awaitingApproval: 0,
  expired: 0,
  delivery: dryRun ? null : noDelivery(),
  reasons: {},
  holds: {},
  problems: [],
  backlog: 0,
  oldestDueSeconds: 0,
  oldestDueSecondsByWorkspace: {},
});

async function claimTurn(
  { now, store, rehearsal, claimedUntil, queue, groupSize, health }: RunContext,
  rounds: Rounds,
  turn: Turn,
  report: SendDueReport,
): Promise<ClaimedTouches> {
  const plans = new Map<string, DecidedPlan>();
  const candidates: DueCandidate[] = [];
  const plan = rehearsal?.plan ?? planner(now);
  const begin = queue === null && report.delivery ? groupSize.current : 0;
  const mayBegin: NonNullable<ClaimQuery["mayBegin"]> = (touch) => health.closed(touch) === null;
  const query = { now, recheckAt: claimedUntil, begin, mayBegin, ...turn };
  const carriedOut = await store.claimDue(query, (candidate) => {
    const decided = plan(candidate);
    plans.set(decided.instanceId, decided);
    candidates.push(candidate);
    return decided;
  });
  rounds.taken(turn, candidates);
  for (const done of carriedOut) {
    const decided = plans.get(done.instanceId);
    if (!decided) throw new Error(`the store carried out a plan nobody made, for instance ${done.instanceId}`);
    tally(report, decided, done);
    if (rehearsal && rehearsal.sample.length < PROBLEMS_TOLD) rehearsal.sample.push(sampleOf(decided));
  }
  return toSend(carriedOut, plans);
}

const toSend = (carriedOut: readonly ClaimedPlan[], plans: ReadonlyMap<string, DecidedPlan>): ClaimedTouches => ({
  begun: carriedOut.flatMap(({ begun }) => begun ?? []),
  touchIds: carriedOut.flatMap(({ instanceId, touchId, begun }) =>
    touchId && !begun && plans.get(instanceId)?.touch?.status === "claimed" ? [touchId] : [],
  ),
});

const COUNTED_AS = {
  send: "claimed",
  awaitApproval: "awaitingApproval",
  hold: "held",
  pause: "paused",
  skip: "skipped",
  expire: "expired",
  complete: "completed",
} as const;

function tally(report: SendDueReport, plan: DecidedPlan, done: ClaimedPlan) {
  const { touch, decision } = plan;
  const lost = touch !== null && done.touchId === null;
  const reason = lost ? "already_claimed" : decision.reason;
  report.due += 1;
  report[lost ? "skipped" : COUNTED_AS[decision.kind]] += 1;
  report.reasons[reason] = (report.reasons[reason] ?? 0) + 1;
  if (decision.kind === "hold" && decision.until) tallyHold(report, reason, decision.until.toISOString());
  tellProblem(report.problems, plan, reason);
}

function tallyHold({ holds }: SendDueReport, reason: string, until: string) {
  const hold = holds[reason] ?? { steps: 0, earliest: until, latest: until };
  holds[reason] = {
    steps: hold.steps + 1,
    earliest: until < hold.earliest ? until : hold.earliest,
    latest: until > hold.latest ? until : hold.latest,
  };
}

function sampleOf({ instanceId, position, decision: { kind, reason, rule, until } }: DecidedPlan): SampleDecision {
  return { instanceId, position, decision: kind, reason, rule, ...(until && { until: until.toISOString() }) };
}
