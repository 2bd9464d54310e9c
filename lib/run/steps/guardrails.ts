import { exceededLimit } from "../../domain/guardrail.ts";
import type { RunContext, RunStep } from "../step.ts";
import { type GuardrailReport, PROBLEMS_REPORTED } from "../step-reports.ts";

/** Pauses workspaces whose mails bounce, or are reported as spam, too often, before anything more is sent for them. */
export const guardrails: RunStep<"guardrails", "guardrail", GuardrailReport> = {
  name: "guardrails",
  reportKey: "guardrail",
  sends: false,
  timeShare: 0.25,
  emptyReport: () => ({ checked: 0, paused: 0, byWorkspace: {} }),
  async run(context, report) {
    const faults: unknown[] = [];
    for (const workspaceId of await context.store.findFlagged(context.batch)) {
      if (context.stopping()) break;
      // The fault of one workspace does not keep the others from their check.
      await check(context, workspaceId, report).catch((thrown) => faults.push(thrown));
    }
    if (faults.length > 0) throw faults[0];
  },
};

async function check({ store, now, log }: RunContext, workspaceId: string, report: GuardrailReport): Promise<void> {
  const outcome = await store.checkGuardrail({ workspaceId, now }, exceededLimit);
  if (!outcome) return;
  report.checked += 1;
  const { excess } = outcome;
  if (!excess) return;
  report.paused += 1;
  if (report.paused <= PROBLEMS_REPORTED) report.byWorkspace[workspaceId] = excess.reason;
  log.info("guardrail.paused", { workspaceId, ...excess });
}
