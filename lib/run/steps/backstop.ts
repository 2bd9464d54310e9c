import { type RunStep, StoppedLate } from "../step.ts";
import { type BackstopReport, nothingCompleted } from "../step-reports.ts";

/** Completes instances that still chase a booked lead. */
export const backstop: RunStep<"backstop", "backstop", BackstopReport> = {
  name: "backstop",
  reportKey: "backstop",
  sends: false,
  emptyReport: nothingCompleted,
  async run({ batch, store, stopping }, report) {
    await store.completeBooked({ now: batch.now, workspaceId: batch.workspaceId, stopping, report });
    if (report.missedByMarker) {
      throw new StoppedLate(
        `the marker missed ${report.missedByMarker} live instances of booked leads; they are completed now`,
      );
    }
  },
};
