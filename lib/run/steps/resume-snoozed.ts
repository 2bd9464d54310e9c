import type { RunStep } from "../step.ts";
import { resumeInBatches } from "./resume.ts";

/** Resumes leads whose snooze is over. */
export const resumeSnoozed: RunStep = {
  name: "resume-snoozed",
  sends: false,
  async run(context, reports) {
    reports.snoozed = { checked: 0, resumed: 0 };
    await resumeInBatches(context, reports.snoozed, (query) => context.store.resumeSnoozed(query));
  },
};
