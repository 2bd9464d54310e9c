import type { DispatchContext } from "./dispatch.ts";
import type { PlannedTouches } from "./plan.ts";
import type { RunPorts } from "./ports.ts";
import type { SampleDecision, StepReports } from "./report.ts";
import type { RunRequest, StepName } from "./request.ts";
import type { FollowUpStore } from "./store-ports.ts";
import type { Throughput } from "./throughput.ts";

/** Everything that a step may use. */
export interface RunContext extends DispatchContext {
  readonly request: RunRequest;
  readonly store: FollowUpStore;
  readonly settings: RunSettings;
  readonly digests: RunPorts["digests"];
  /** Milliseconds left for the step to start new work; 0 or less: none. */
  readonly leftMs: () => number;
  readonly throughput: Throughput;
  /** When a later run takes up the touches that this run claimed and did not send. */
  readonly claimedUntil: Date;
  /** Null in a real run. */
  readonly rehearsal: Rehearsal | null;
}

/** In-memory state of a dry run. */
export interface Rehearsal {
  /** Collects decisions. */
  readonly sample: SampleDecision[];
  /** A dry run writes nothing between batches, so this counts the touches of all batches. */
  readonly planned: PlannedTouches;
}

export interface RunSettings {
  /** Rows in one claim. */
  readonly batchSize: number;
  /** Concurrent claim-and-send loops: while one waits for the database or a provider, another works. */
  readonly claimers: number;
  /** Most sends in flight on one channel. */
  readonly sendsAtOnce: number;
  /** No new work starts with less than this left of the invocation. */
  readonly safetyMarginMs: number;
}

/** The backstop found and repaired a fault: the run fails, but the sending steps still run. */
export class StoppedLate extends Error {
  override readonly name = "StoppedLate";
}

/** A step of the run: one file, one line in the list of steps. */
export interface RunStep {
  readonly name: StepName;
  /** True if the step sends anything; it then must not run after a failed backstop. */
  readonly sends: boolean;
  /** Puts its result into `reports` first and updates it during the work, so a failure loses no counts. */
  run(context: RunContext, reports: StepReports): Promise<void>;
}

/** True if this run sends its own claims; it then claims no more than it can send. */
export const sendsItself = ({ queue, request }: Pick<RunContext, "queue" | "request">): boolean =>
  queue === null && !request.dryRun;
