import type { DigestChannel } from "../domain/labels.ts";
import type { DeliveryQueue, DigestSender } from "./channel-ports.ts";
import type { BatchQuery } from "./claim-ports.ts";
import type { DeliveryContext } from "./deliver.ts";
import type { PlannedTouches } from "./plan.ts";
import type { RecoveredReport, SampleDecision } from "./step-reports.ts";
import type { FollowUpStore } from "./store-ports.ts";
import type { Throughput } from "./throughput.ts";

/** Everything that a step may use. */
export interface RunContext extends DeliveryContext {
  readonly store: FollowUpStore;
  readonly settings: RunSettings;
  readonly digests: Readonly<Record<DigestChannel, DigestSender>>;
  /** The queue whose consumers send the touches; null: this run sends them itself. */
  readonly queue: DeliveryQueue | null;
  /** Selects a batch of rows, of one workspace or of all. */
  readonly batch: BatchQuery;
  /** Most steps that the run claims. */
  readonly limit: number;
  /** Milliseconds left for the step to start new work; 0 or less: none. */
  readonly leftMs: () => number;
  readonly throughput: Throughput;
  /** When a later run recovers the touches that this run claimed and did not send. */
  readonly claimedUntil: Date;
  /** Null in a real run. */
  readonly rehearsal: Rehearsal | null;
}

/** In-memory state of a dry run. */
interface Rehearsal {
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

/** A step of the run: one file, and one line in `STEPS`. */
export interface RunStep<Name extends string, Key extends string, StepReport extends object> {
  readonly name: Name;
  readonly reportKey: Key;
  /** True if the step sends anything; it then must not run after a failed backstop. */
  readonly sends: boolean;
  /** Most of the time left at its start that the step may use, so that later steps get their time. Default: 1. */
  readonly timeShare?: number;
  /** Share of the run's time that is reserved for the step. Default: 0. */
  readonly reservedTime?: number;
  /** Has every key, so that a report always has the same shape. */
  emptyReport(dryRun: boolean): StepReport;
  /** Updates its report during the work, so that a failure loses no counts. `reports` holds those of earlier steps. */
  run(context: RunContext, report: StepReport, reports: EarlierReports): Promise<void>;
  /** Counts that must be equal in a report. */
  balance?(report: StepReport): readonly Balance[];
}

/** A step of any name and report. */
export type AnyStep = RunStep<string, string, object>;

interface EarlierReports {
  readonly recovered: RecoveredReport | null;
}

interface Balance {
  readonly taken: number;
  readonly accounted: number;
  /** Names the taken items, as in "instances were due". */
  readonly what: string;
}

export const sumOf = (counts: object): number =>
  Object.values(counts).reduce((sum: number, count: number) => sum + count, 0);

/** The backstop found and repaired a fault: the run fails, but the sending steps still run. */
export class StoppedLate extends Error {
  override readonly name = "StoppedLate";
}

/** True if this run sends its own claims; it then claims no more than it can send. */
export const sendsItself = ({ queue, rehearsal }: Pick<RunContext, "queue" | "rehearsal">): boolean =>
  queue === null && rehearsal === null;
