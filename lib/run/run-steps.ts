import type { StepReports } from "./report.ts";
import { REPORT_KEYS } from "./report.ts";
import type { StepName } from "./request.ts";
import { type RunContext, type RunStep, StoppedLate } from "./step.ts";

/** A step that failed or was not run for safety, with its error. */
export interface StepFault {
  readonly step: StepName;
  readonly thrown: unknown;
}

/**
 * Runs the steps in order. A failed step is reported and later steps still run, except that no step sends after a
 * failed backstop. A step that the time did not allow stays null in `reports`.
 */
export async function runSteps(
  steps: readonly RunStep[],
  contextOf: (step: RunStep) => RunContext,
  reports: StepReports,
): Promise<readonly StepFault[]> {
  const faults: StepFault[] = [];
  for (const step of steps) {
    const context = contextOf(step);
    if (context.stopping()) continue;
    const backstopFailed = faults.some(
      ({ step: failed, thrown }) => failed === "backstop" && !(thrown instanceof StoppedLate),
    );
    if (backstopFailed && step.sends) {
      faults.push({
        step: step.name,
        thrown: new Error("not run: the backstop failed, and nothing is sent without it"),
      });
    } else faults.push(...(await runStep(step, context, reports)));
  }
  return faults;
}

async function runStep(step: RunStep, context: RunContext, reports: StepReports): Promise<StepFault[]> {
  try {
    await step.run(context, reports);
    context.log.info("step.finished", { step: step.name, report: reports[REPORT_KEYS[step.name]] });
    return [];
  } catch (thrown) {
    context.log.error("step.failed", { step: step.name, error: thrown });
    return [{ step: step.name, thrown }];
  }
}
