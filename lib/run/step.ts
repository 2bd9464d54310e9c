import type { Channel } from "../domain/labels.ts";
import type { FollowUpStore, Log, MessageChannel } from "./ports.ts";
import type { SampleDecision, StepReports } from "./report.ts";
import type { RunRequest, StepName } from "./request.ts";

/** All that a step may use. */
export interface RunContext {
  /** The instant of this run, read once from the database; steps never ask a clock. */
  readonly now: Date;
  readonly request: RunRequest;
  readonly store: FollowUpStore;
  readonly channels: Readonly<Record<Channel, MessageChannel>>;
  readonly settings: RunSettings;
  /** True once no new work may be started: time is running out, or the overlap lock is lost. */
  readonly stopping: () => boolean;
  /** Collects decisions in a dry run; null in a real one. */
  readonly sample: SampleDecision[] | null;
  readonly log: Log;
}

export interface RunSettings {
  /** Rows in one claim. */
  readonly batchSize: number;
  /** Sends under way at once. */
  readonly sendsAtOnce: number;
  /** New work is not started when less is left of the invocation. */
  readonly safetyMarginMs: number;
}

/** A step of the run: one file, one line in the list of steps. */
export interface RunStep {
  readonly name: StepName;
  /** Whether it may reach a lead, so that it must not run after a failed backstop. */
  readonly reachesLeads: boolean;
  /** Puts its result into `reports` before it begins and fills it in as it goes, so that a failure loses no count. */
  run(context: RunContext, reports: StepReports): Promise<void>;
}
