import type { RunContext, RunStep } from "../step.ts";
import type { EnrichmentReport, ResumeReport } from "../step-reports.ts";
import type { ResumableReason } from "../store-ports.ts";

/** At most a quarter of the time left, so that many pauses do not delay what is due. */
const TIME_SHARE = 0.25;

/** Resumes leads whose snooze is over. */
export const resumeSnoozed: RunStep<"resume-snoozed", "snoozed", ResumeReport> = {
  name: "resume-snoozed",
  reportKey: "snoozed",
  sends: false,
  timeShare: TIME_SHARE,
  emptyReport: () => ({ checked: 0, resumed: 0 }),
  run: (context, report) => resume(context, "lead_snoozed", report),
};

/** Resumes leads that replied, got an answer, and have been silent for the workspace's number of days since. */
export const resumeGhosted: RunStep<"resume-ghosted", "resumed", ResumeReport> = {
  name: "resume-ghosted",
  reportKey: "resumed",
  sends: false,
  timeShare: TIME_SHARE,
  emptyReport: () => ({ checked: 0, resumed: 0 }),
  run: (context, report) => resume(context, "lead_replied", report),
};

/** Resumes leads whose missing data has arrived or will not arrive. */
export const resumeAwaitingEnrichment: RunStep<"resume-awaiting-enrichment", "enrichmentResumed", EnrichmentReport> = {
  name: "resume-awaiting-enrichment",
  reportKey: "enrichmentResumed",
  sends: false,
  timeShare: TIME_SHARE,
  emptyReport: () => ({ checked: 0, resumed: 0, skippedSteps: 0 }),
  run: (context, report) => resume(context, "awaiting_enrichment", report),
};

/** Resumes leads whose missing value was added, or whose automation was switched back on. */
export const resumeRepaired: RunStep<"resume-repaired", "repaired", ResumeReport> = {
  name: "resume-repaired",
  reportKey: "repaired",
  sends: false,
  timeShare: TIME_SHARE,
  emptyReport: () => ({ checked: 0, resumed: 0 }),
  async run(context, report) {
    await resume(context, "manual", report);
    await resume(context, "missing_data", report);
  },
};

/** Resumes in batches until one is empty. Terminates because every checked row leaves the set. */
async function resume(
  { batch, store, stopping }: RunContext,
  reason: ResumableReason,
  report: ResumeReport & Partial<EnrichmentReport>,
): Promise<void> {
  while (!stopping()) {
    const { checked, resumed, skippedSteps } = await store.resumePaused(reason, batch);
    report.checked += checked;
    report.resumed += resumed;
    if (report.skippedSteps !== undefined) report.skippedSteps += skippedSteps;
    if (checked === 0) return;
  }
}
