import { type AnyStep, type RunContext, StoppedLate } from "./step.ts";
import { backstop } from "./steps/backstop.ts";
import { guardrails } from "./steps/guardrails.ts";
import { notificationDigests } from "./steps/notification-digests.ts";
import { recoverTouches } from "./steps/recover-touches.ts";
import { resumeAwaitingEnrichment, resumeGhosted, resumeRepaired, resumeSnoozed } from "./steps/resume.ts";
import { sendDue } from "./steps/send-due.ts";

/** The steps of a run, in order. The names in a request and the keys of the report derive from this list. */
export const STEPS = [
  backstop,
  resumeSnoozed,
  resumeGhosted,
  resumeAwaitingEnrichment,
  resumeRepaired,
  guardrails,
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

interface Bounds {
  /** Milliseconds until the invocation is cut off. */
  readonly remainingMs: () => number;
  readonly safetyMarginMs: number;
  /** False once no new work may start. */
  readonly goesOn: () => boolean;
}

/** Divides the time of a run between its steps. */
export class RunTime {
  readonly #bounds: Bounds;
  /** The reserved time of each step. */
  readonly #reservedMs: ReadonlyMap<string, number>;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    const totalMs = Math.max(0, bounds.remainingMs() - bounds.safetyMarginMs);
    this.#reservedMs = new Map(STEPS.map(({ name, reservedTime }: AnyStep) => [name, (reservedTime ?? 0) * totalMs]));
  }

  /** Returns a function for the milliseconds left to a step that starts now; negative: none. */
  leftFor({ name, timeShare = 1 }: AnyStep): () => number {
    const reservedMs = this.#reservedFor(name);
    const keptMs = reservedMs + Math.max(0, this.#leftBefore(reservedMs)) * (1 - timeShare);
    return () => (this.#bounds.goesOn() ? this.#leftBefore(keptMs) : Number.NEGATIVE_INFINITY);
  }

  /** True once only reserved time is left. */
  get isOver(): boolean {
    return this.#leftBefore(this.#reservedFor(null)) < 0;
  }

  /** The time reserved for steps other than `name`. */
  #reservedFor(name: string | null): number {
    return [...this.#reservedMs].reduce((sum, [other, reservedMs]) => (other === name ? sum : sum + reservedMs), 0);
  }

  #leftBefore(keptMs: number): number {
    return this.#bounds.remainingMs() - this.#bounds.safetyMarginMs - keptMs;
  }
}

/** A step that failed or was not run for safety, with its error. */
interface StepFault {
  readonly step: string;
  readonly thrown: unknown;
}

/** The context of a run before its time is divided between the steps. */
export type SharedContext = Omit<RunContext, "leftMs" | "stopping">;

/**
 * Runs the steps in order. A failed step is reported and later steps still run, except that no step sends after a
 * failed backstop. A step that the time did not allow stays null in `reports`.
 */
export async function runSteps(
  steps: readonly AnyStep[],
  shared: SharedContext,
  time: RunTime,
  reports: StepReports,
): Promise<readonly StepFault[]> {
  const faults: StepFault[] = [];
  for (const step of steps) {
    const leftMs = time.leftFor(step);
    const context = { ...shared, leftMs, stopping: () => leftMs() < 0 };
    if (context.stopping()) continue;
    const backstopFailed = faults.some(
      ({ step: failed, thrown }) => failed === "backstop" && !(thrown instanceof StoppedLate),
    );
    if (backstopFailed && step.sends) {
      const thrown = new Error("not run: the backstop failed, and nothing is sent without it");
      faults.push({ step: step.name, thrown });
    } else faults.push(...(await runStep(step, context, reports)));
  }
  return faults;
}

async function runStep(step: AnyStep, context: RunContext, reports: StepReports): Promise<StepFault[]> {
  const report = step.emptyReport(context.rehearsal !== null);
  Object.assign(reports, { [step.reportKey]: report });
  try {
    await step.run(context, report, reports);
    context.log.info("step.finished", { step: step.name, report });
    return [];
  } catch (thrown) {
    context.log.error("step.failed", { step: step.name, error: thrown });
    return [{ step: step.name, thrown }];
  }
}
