import type { RunStep } from "../step.ts";
import { resumeInBatches } from "./resume.ts";

/** Resumes leads whose missing data has arrived or will not arrive. */
export const resumeAwaitingEnrichment: RunStep = {
  name: "resume-awaiting-enrichment",
  sends: false,
  async run(context, reports) {
    reports.enrichmentResumed = { checked: 0, resumed: 0, skippedSteps: 0 };
    await resumeInBatches(context, reports.enrichmentResumed, (query) => context.store.resumeAwaitingEnrichment(query));
  },
};
