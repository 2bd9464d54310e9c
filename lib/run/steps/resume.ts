import type { ResumeReport } from "../report.ts";
import type { RunContext, RunStep } from "../step.ts";
import type { ResumableReason } from "../store-ports.ts";

/** Resumes leads whose snooze is over. */
export const resumeSnoozed: RunStep = {
  name: "resume-snoozed",
  sends: false,
  async run(context, reports) {
    reports.snoozed = { checked: 0, resumed: 0 };
    await resume(context, "lead_snoozed", reports.snoozed);
  },
};

/** Resumes leads that replied, got an answer, and have been silent for the workspace's number of days since. */
export const resumeGhosted: RunStep = {
  name: "resume-ghosted",
  sends: false,
  async run(context, reports) {
    reports.resumed = { checked: 0, resumed: 0 };
    await resume(context, "lead_replied", reports.resumed);
  },
};

/** Resumes leads whose missing data has arrived or will not arrive. */
export const resumeAwaitingEnrichment: RunStep = {
  name: "resume-awaiting-enrichment",
  sends: false,
  async run(context, reports) {
    reports.enrichmentResumed = { checked: 0, resumed: 0, skippedSteps: 0 };
    await resume(context, "awaiting_enrichment", reports.enrichmentResumed);
  },
};

/** Resumes in batches until one is empty. Terminates because every checked row leaves the set. */
async function resume(
  { now, request, settings, store, stopping }: RunContext,
  reason: ResumableReason,
  report: ResumeReport & { skippedSteps?: number },
): Promise<void> {
  while (!stopping()) {
    const query = { now, limit: settings.batchSize, workspaceId: request.workspaceId ?? null };
    const { checked, resumed, skippedSteps } = await store.resumePaused(reason, query);
    report.checked += checked;
    report.resumed += resumed;
    if (report.skippedSteps !== undefined) report.skippedSteps += skippedSteps;
    if (checked === 0) return;
  }
}
