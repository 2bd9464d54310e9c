import { nothingCompleted } from "../report.ts";
import { type RunStep, StoppedLate } from "../step.ts";

/** Completes instances that still chase a booked lead. */
export const backstop: RunStep = {
  name: "backstop",
  sends: false,
  async run({ now, request, store, stopping }, reports) {
    const report = nothingCompleted();
    reports.backstop = report;
    await store.completeBooked({ now, workspaceId: request.workspaceId ?? null, stopping, report });
    if (report.missedByMarker) {
      throw new StoppedLate(
        `the marker missed ${report.missedByMarker} live instances of booked leads; they are completed now`,
      );
    }
  },
};
