import type { Decision } from "../domain/decision.ts";
import type { DueItem } from "../domain/due-item.ts";
import type { Channel, DigestChannel } from "../domain/labels.ts";
import type { InstanceState } from "../domain/next-state.ts";
import type { Message } from "../domain/templates.ts";
import type { ClosedChannel, DeliveryQueue, DeliveryStore, MessageChannel, OutgoingTouch } from "./delivery-ports.ts";
import type { DigestSender, DigestStore } from "./digest-ports.ts";
import type { BatchQuery } from "./port-types.ts";
import type { BackstopReport, EnrichmentReport, LockHolder, Report, ResumeReport } from "./report.ts";
import type { RunRequest } from "./request.ts";

const NAMED_AT_MOST = 8;
const named = (missing: readonly string[]): string =>
  missing.length <= NAMED_AT_MOST
    ? missing.join(", ")
    : `${missing.slice(0, NAMED_AT_MOST).join(", ")} and ${missing.length - NAMED_AT_MOST} more`;

/** The database schema is older than the code. `missing` names migrations, tables, columns or labels. */
export class SchemaOutOfDate extends Error {
  override readonly name = "SchemaOutOfDate";
  readonly code = "schema_out_of_date";
  readonly missing: readonly string[];
  constructor(missing: readonly string[], options?: ErrorOptions) {
    super(`the database schema lacks ${named(missing)}; apply the migrations: npm run backstop -- migrate`, options);
    this.missing = missing;
  }
}

/** Database settings weaken a guarantee. Each entry names the setting, its danger and the statement that fixes it. */
export class UnsafeDatabaseSettings extends Error {
  override readonly name = "UnsafeDatabaseSettings";
  readonly code = "unsafe_database_settings";
  readonly settings: readonly string[];
  constructor(settings: readonly string[]) {
    super(`the database is not set up safely: ${settings.join("; ")}`);
    this.settings = settings;
  }
}

/** No connection could be opened, or it broke. Says nothing about the schema. */
export class DatabaseUnreachable extends Error {
  override readonly name = "DatabaseUnreachable";
  readonly code = "database_unreachable";
  constructor(detail: string, options?: ErrorOptions) {
    super(`the database cannot be reached: ${detail}`, options);
  }
}

/** Database operations of the steps. Every method is safe with a concurrent run. */
export interface FollowUpStore extends DeliveryStore, DigestStore {
  /** Completes every live instance of a booked lead outside post-booking sequences, in batches. */
  completeBooked(query: CompleteBooked): Promise<void>;
  resumeSnoozed(query: BatchQuery): Promise<ResumeReport>;
  resumeGhosted(query: BatchQuery): Promise<ResumeReport>;
  resumeAwaitingEnrichment(query: BatchQuery): Promise<EnrichmentReport>;
  /**
   * In one transaction: locks due instances, passes all of them to `plan` once, and writes the returned plans. An
   * instance without a plan stays due. `plan` is not called if nothing is due.
   */
  claimDue(query: ClaimQuery, plan: PlanCandidates): Promise<readonly ClaimedPlan[]>;
  /** Workspaces with due steps, oldest due first. */
  findDueWorkspaces(query: BatchQuery): Promise<readonly DueWorkspace[]>;
  countDue(query: BatchQuery): Promise<number>;
  /** Workspaces with sendable claimed touches, oldest first, including touches that a sender or queue holds. */
  findWaiting(query: BatchQuery, recheckAt: Date): Promise<readonly WaitingWorkspace[]>;
  /** Number of sendable claimed touches that no sender or queue holds, up to `limit`. */
  countWaiting(query: BatchQuery): Promise<number>;
  /** True if a lease expired, a claimed touch is sendable, or an approval request outlived its time to live. */
  isTouchLeftBehind(query: Omit<BatchQuery, "limit">): Promise<boolean>;
  /** Expires touches whose time to live ended before approval, and advances their instances. Returns their number. */
  expireWaiting(query: BatchQuery): Promise<number>;
  /** Ends expired leases: touches become `claimed` again on an idempotent channel, else `unknown`. */
  expireLeases(query: BatchQuery): Promise<{ readonly unknown: number; readonly reclaimed: number }>;
  /** Sendable claimed touches: the oldest of each workspace, then the second oldest of each, and so on. */
  findLeftBehind(query: BatchQuery): Promise<readonly LeftBehind[]>;
  /** Takes the touches that still wait and returns them in order. No other run takes them before `recheckAt`. */
  claimAgain(touchIds: readonly string[], now: Date, recheckAt: Date): Promise<readonly string[]>;
}

export interface CompleteBooked extends Omit<BatchQuery, "limit"> {
  readonly stopping: () => boolean;
  /** Updated during the work, so it is correct even after a failure. */
  readonly report: BackstopReport;
}

export interface DueWorkspace {
  readonly id: string;
  /** True if the workspace has a daily cap. */
  readonly capped: boolean;
  readonly oldestDue: Date;
}

export interface WaitingWorkspace {
  readonly id: string;
  /** Since when its oldest touch may be sent. */
  readonly since: Date;
}

export interface LeftBehind {
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: Channel;
}

export interface ClaimQuery {
  readonly now: Date;
  /** When another run may take up unsent touches of this claim. */
  readonly recheckAt: Date;
  /** Skips steps of these channels, for all workspaces or for one; they stay due. */
  readonly without?: readonly ClosedChannel[];
  /** Most rows per workspace. */
  readonly share: number;
  readonly workspaces: readonly ClaimedFrom[];
}

/** A workspace with the last instance that this run claimed from it. */
export interface ClaimedFrom extends Pick<DueWorkspace, "id" | "capped"> {
  readonly after: Pick<DueCandidate, "nextStepDue" | "instanceId"> | null;
}

/** A due instance, or the reason why its row does not parse. */
export interface DueCandidate {
  readonly instanceId: string;
  readonly workspaceId: string;
  readonly position: number;
  readonly nextStepDue: Date;
  readonly heldSince: Date | null;
  readonly read: { readonly item: DueItem } | { readonly fault: string };
}

export type PlanCandidates = (candidates: readonly DueCandidate[]) => readonly Plan[];

/** The decision on a candidate, and what to write. */
export interface Plan {
  readonly candidate: DueCandidate;
  readonly decision: ReportedDecision;
  /** The next state of the instance. */
  readonly state: InstanceState;
  readonly touch: NewTouch | null;
  /** True if the touch becomes `sending` with its claim, unless its workspace or sequence was switched off since. */
  readonly starts: boolean;
}

/** The part of a decision that the report shows. */
export type ReportedDecision = Pick<Decision, "kind" | "reason" | "rule"> & {
  readonly detail?: string;
  readonly until?: Date;
};

export interface NewTouch {
  readonly status: "claimed" | "awaiting_approval";
  readonly stepId: string;
  readonly channel: Channel;
  readonly message: Message;
  /** The lead's last contact as the decision saw it. The touch waits if another was sent since. */
  readonly expectedOutboundAt: Date | null;
  /** Until when it may be sent without a new decision; null: it needs one. */
  readonly sendUntil: Date | null;
  readonly expiresAt: Date | null;
}

/** A plan that was written. */
export interface ClaimedPlan {
  readonly plan: Plan;
  /** Null if the plan has no touch, or the step was claimed before. */
  readonly touchId: string | null;
  /** The touch if it is already `sending`. */
  readonly started: OutgoingTouch | null;
}

/** Held in a transaction on its own connection: the server releases it when the run ends, crashes or is cut off. */
export interface OverlapLock {
  tryAcquire(): Promise<HeldLock | undefined>;
  /** The holder; undefined if the lock has been released since. */
  holder(): Promise<LockHolder | undefined>;
}

export interface HeldLock {
  readonly pid: number;
  /** False once its connection has died; another run may then hold the lock. */
  isHeld(): boolean;
  release(): Promise<void>;
}

export interface RunRecord {
  /** Inserts the row of a new run and returns its id. */
  begin(run: BegunRun): Promise<string>;
  finish(runId: string, report: Report, finishedAt: Date): Promise<void>;
}

export interface BegunRun {
  readonly request: RunRequest;
  readonly requestId: string;
  readonly startedAt: Date;
  readonly deadlineAt: Date;
  readonly lockPid: number | null;
}

export interface Log {
  info(event: string, fields: Record<string, unknown>): void;
  error(event: string, fields: Record<string, unknown>): void;
}

/** A run's external dependencies. */
export interface RunPorts {
  /** The database's clock, which also stamps bookings. Throws DatabaseUnreachable. */
  readonly now: () => Promise<Date>;
  /** Schema parts that this code needs and the database lacks. Throws UnsafeDatabaseSettings, DatabaseUnreachable. */
  readonly missingSchema: () => Promise<readonly string[]>;
  readonly workspaceExists: (workspaceId: string) => Promise<boolean>;
  readonly lock: OverlapLock;
  readonly runs: RunRecord;
  readonly store: FollowUpStore;
  /** Runs `work` on a store that reads one snapshot, writes nothing and locks no rows, so it blocks no transaction. */
  readonly rehearse: (work: (store: FollowUpStore) => Promise<void>) => Promise<void>;
  readonly channels: Readonly<Record<Channel, MessageChannel>>;
  readonly digests: Readonly<Record<DigestChannel, DigestSender>>;
  /** Null: the run sends its own claims. */
  readonly queue: DeliveryQueue | null;
  readonly log: Log;
}
