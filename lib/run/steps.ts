import type { AnyStep } from "./step.ts";
import { backstop } from "./steps/backstop.ts";
import { notificationDigests } from "./steps/notification-digests.ts";
import { recoverTouches } from "./steps/recover-touches.ts";
import { resumeAwaitingEnrichment, resumeGhosted, resumeSnoozed } from "./steps/resume.ts";
import { sendDue } from "./steps/send-due.ts";

/** The steps of a run, in order. The names in a request and the keys of the report derive from this list. */
export const STEPS = [
  backstop,
  resumeSnoozed,
  resumeGhosted,
  resumeAwaitingEnrichment,
  recoverTouches,
  sendDue,
  notificationDigests,
] as const satisfies readonly AnyStep[];

type Step = (typeof STEPS)[number];
export type StepName = Step["name"];

/** The result of each step by its report key; null until the step starts. */
export type StepReports = { [S in Step as S["reportKey"]]: ReturnType<S["emptyReport"]> | null };

/** A report shows `results` before `recovered`, although `recover-touches` runs before `send-due`. */
export function noSteps(): StepReports {
  const keys: string[] = STEPS.map(({ reportKey }) => reportKey);
  keys.splice(keys.indexOf("recovered"), 2, "results", "recovered");
  return Object.fromEntries(keys.map((key) => [key, null])) as StepReports;
}
