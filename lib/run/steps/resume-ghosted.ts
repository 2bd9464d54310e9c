import type { RunStep } from "../step.ts";
import { resumeInBatches } from "./resume.ts";

/** Resumes leads that replied, got an answer, and have been silent for the workspace's number of days since. */
export const resumeGhosted: RunStep = {
  name: "resume-ghosted",
  sends: false,
  async run(context, reports) {
    reports.resumed = { checked: 0, resumed: 0 };
    await resumeInBatches(context, reports.resumed, (query) => context.store.resumeGhosted(query));
  },
};
