import type { DispatchContext } from "./dispatch.ts";
import type { Planner } from "./plan.ts";
import type { FollowUpStore, RunPorts } from "./ports.ts";
import type { SampleDecision, StepReports } from "./report.ts";
import type { RunRequest, StepName } from "./request.ts";
import type { Throughput } from "./throughput.ts";

/** All that a step may use. */
export interface RunContext extends DispatchContext {
  readonly request: RunRequest;
  readonly store: FollowUpStore;
  readonly settings: RunSettings;
  readonly digests: RunPorts["digests"];
  /** Milliseconds that the step has left to begin work in; 0 or less: none. */
  readonly leftMs: () => number;
  readonly throughput: Throughput;
  /** When a touch that this run claims and that is still unsent is taken up by a later one. */
  readonly claimedUntil: Date;
  /** Null in a real run. */
  readonly rehearsal: Rehearsal | null;
}

/** What a dry run keeps in memory. */
export interface Rehearsal {
  /** Collects decisions. */
  readonly sample: SampleDecision[];
  /** Nothing is written between the batches, so one planner counts what all of them claim. */
  readonly plan: Planner;
}

export interface RunSettings {
  /** Rows in one claim. */
  readonly batchSize: number;
  /** So many claim and send side by side: while one waits for the database or a provider, another one works. */
  readonly claimers: number;
  /** Sends under way at once on one channel. */
  readonly sendsAtOnce: number;
  /** New work is not started when less is left of the invocation. */
  readonly safetyMarginMs: number;
}

/** The backstop found a fault and made up for it: the run fails, and what sends may run all the same. */
export class StoppedLate extends Error {
  override readonly name = "StoppedLate";
}

/** A step of the run: one file, one line in the list of steps. */
export interface RunStep {
  readonly name: StepName;
  /** Whether it sends anything, so that it must not run after a failed backstop. */
  readonly sends: boolean;
  /** Puts its result into `reports` before it begins and fills it in as it goes, so that a failure loses no count. */
  run(context: RunContext, reports: StepReports): Promise<void>;
}

/** Whether this run sends what it claims, and so claims no more than it can send. */
export const sendsItself = ({ queue, request }: Pick<RunContext, "queue" | "request">): boolean =>
  queue === null && !request.dryRun;
