import { deliver } from "../deliver.ts";
import { type DecidedPlan, planFor } from "../plan.ts";
import type { ClaimedPlan } from "../ports.ts";
import { BACKLOG_COUNTED, noDelivery, PROBLEMS_TOLD, type SampleDecision, type SendDueReport } from "../report.ts";
import type { RunContext, RunStep } from "../step.ts";

/** Claims what is due in batches, decides on it, and sends what was claimed before it claims more. */
export const sendDue: RunStep = {
  name: "send-due",
  reachesLeads: true,
  async run(context, reports) {
    const { now, request, settings, store, stopping } = context;
    const report = emptyReport(request.dryRun);
    reports.results = report;
    let left = request.limit ?? Number.POSITIVE_INFINITY;
    while (left > 0 && !stopping()) {
      const claimed = await claimBatch(context, report, Math.min(left, settings.batchSize));
      if (claimed.due === 0) break;
      left -= claimed.due;
      if (report.delivery) await deliver(context, claimed.touchIds, report.delivery);
    }
    report.backlog = await store.countDue({ now, limit: BACKLOG_COUNTED, workspaceId: request.workspaceId ?? null });
  },
};

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
  problems: [],
  backlog: 0,
  oldestDueSeconds: 0,
});

async function claimBatch({ now, request, store, sample }: RunContext, report: SendDueReport, limit: number) {
  const plans = new Map<string, DecidedPlan>();
  let oldestDue = now;
  const carriedOut = await store.claimDue({ now, limit, workspaceId: request.workspaceId ?? null }, (candidate) => {
    const plan = planFor(candidate, now);
    plans.set(plan.instanceId, plan);
    if (candidate.nextStepDue < oldestDue) oldestDue = candidate.nextStepDue;
    return plan;
  });
  report.oldestDueSeconds = Math.max(report.oldestDueSeconds, (now.getTime() - oldestDue.getTime()) / 1_000);
  const touchIds: string[] = [];
  for (const done of carriedOut) {
    const plan = plans.get(done.instanceId);
    if (!plan) throw new Error(`the store carried out a plan nobody made, for instance ${done.instanceId}`);
    tally(report, plan, done);
    if (sample && sample.length < PROBLEMS_TOLD) sample.push(sampleOf(plan));
    if (done.touchId && plan.touch?.status === "claimed") touchIds.push(done.touchId);
  }
  return { due: carriedOut.length, touchIds };
}

const COUNTED_AS = {
  send: "claimed",
  awaitApproval: "awaitingApproval",
  hold: "held",
  pause: "paused",
  skip: "skipped",
  complete: "completed",
} as const;

const PROBLEM_REASONS: ReadonlySet<string> = new Set([
  "unreadable_row",
  "decision_failed",
  "invalid_time_zone",
  "unknown_condition",
  "invalid_template",
  "missing_data",
  "out_of_steps",
  "already_claimed",
]);

function tally(report: SendDueReport, { instanceId, workspaceId, touch, decision }: DecidedPlan, done: ClaimedPlan) {
  const lost = touch !== null && done.touchId === null;
  const reason = lost ? "already_claimed" : decision.reason;
  report.due += 1;
  report[lost ? "skipped" : COUNTED_AS[decision.kind]] += 1;
  report.reasons[reason] = (report.reasons[reason] ?? 0) + 1;
  if (!PROBLEM_REASONS.has(reason) || report.problems.length >= PROBLEMS_TOLD) return;
  report.problems.push({ instanceId, workspaceId, reason, ...(decision.detail && { detail: decision.detail }) });
}

function sampleOf({ instanceId, position, decision: { kind, reason, rule, until } }: DecidedPlan): SampleDecision {
  return { instanceId, position, decision: kind, reason, rule, ...(until && { until: until.toISOString() }) };
}
