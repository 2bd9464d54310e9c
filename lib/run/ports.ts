import type { DueItem } from "../domain/due-item.ts";
import type { InstanceState } from "../domain/evolve.ts";
import type { Channel, DigestChannel } from "../domain/labels.ts";
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

/** The schema lacks what this code was built with. `missing` names it: a migration, a table, a column, a label. */
export class SchemaOutOfDate extends Error {
  override readonly name = "SchemaOutOfDate";
  readonly code = "schema_out_of_date";
  readonly missing: readonly string[];
  constructor(missing: readonly string[], options?: ErrorOptions) {
    super(`the database schema lacks ${named(missing)}; apply the migrations: npm run backstop -- migrate`, options);
    this.missing = missing;
  }
}

/** Settings of the database would weaken a guarantee. Each is named with its danger and the statement that fixes it. */
export class UnsafeDatabaseSettings extends Error {
  override readonly name = "UnsafeDatabaseSettings";
  readonly code = "unsafe_database_settings";
  readonly settings: readonly string[];
  constructor(settings: readonly string[]) {
    super(`the database is not set up safely: ${settings.join("; ")}`);
    this.settings = settings;
  }
}

/** No connection could be had, or it broke. Says nothing about the schema. */
export class DatabaseUnreachable extends Error {
  override readonly name = "DatabaseUnreachable";
  readonly code = "database_unreachable";
  constructor(detail: string, options?: ErrorOptions) {
    super(`the database cannot be reached: ${detail}`, options);
  }
}

/** What the steps ask of the database. Every method is safe beside a second run. */
export interface FollowUpStore extends DeliveryStore, DigestStore {
  /** Completes every live instance of a booked lead outside post-booking sequences, in batches. */
  completeBooked(query: CompleteBooked): Promise<void>;
  resumeSnoozed(query: BatchQuery): Promise<ResumeReport>;
  resumeGhosted(query: BatchQuery): Promise<ResumeReport>;
  resumeAwaitingEnrichment(query: BatchQuery): Promise<EnrichmentReport>;
  /** One transaction: takes due instances, asks `plan` for each, and carries all plans out. One without a plan stays due. */
  claimDue(query: ClaimQuery, plan: (candidate: DueCandidate) => Plan | null): Promise<readonly ClaimedPlan[]>;
  /** The workspaces in which something is due, that with the oldest first. */
  findDueWorkspaces(query: BatchQuery): Promise<readonly DueWorkspace[]>;
  countDue(query: BatchQuery): Promise<number>;
  /** The workspaces in which a claimed touch waits that may go, those with the oldest first, whoever has it in hand. */
  findWaiting(query: BatchQuery, recheckAt: Date): Promise<readonly WaitingWorkspace[]>;
  /** How many claimed touches may go that no sender or queue has in hand, counted up to `limit`. */
  countWaiting(query: BatchQuery): Promise<number>;
  /** Whether a lease ran out, a claimed touch waits whose time has come, or one waits for approval that lives no more. */
  isTouchLeftBehind(query: Omit<BatchQuery, "limit">): Promise<boolean>;
  /** Ends what has waited for approval longer than it lives, and lets the instances go on; answers how many there were. */
  expireWaiting(query: BatchQuery): Promise<number>;
  /** Ends what died while it was sent: `claimed` again on a channel that takes the same touch twice, else `unknown`. */
  expireLeases(query: BatchQuery): Promise<{ readonly unknown: number; readonly reclaimed: number }>;
  /** Claimed touches whose time has come: the oldest of each workspace, then the second oldest of each, and so on. */
  findLeftBehind(query: BatchQuery): Promise<readonly LeftBehind[]>;
  /** Takes those of them that still wait; answers them in their order. No other run takes them before `recheckAt`. */
  takeUp(touchIds: readonly string[], now: Date, recheckAt: Date): Promise<readonly string[]>;
}

export interface CompleteBooked extends Omit<BatchQuery, "limit"> {
  readonly stopping: () => boolean;
  /** Grows as the work goes on, so that it is true even where the work fails half-way. */
  readonly report: BackstopReport;
}

export interface DueWorkspace {
  readonly id: string;
  /** Whether it has a daily cap. */
  readonly capped: boolean;
  readonly oldestDue: Date;
}

export interface WaitingWorkspace {
  readonly id: string;
  /** Since when the oldest of its touches may go. */
  readonly since: Date;
}

export interface LeftBehind {
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: Channel;
}

export interface ClaimQuery {
  readonly now: Date;
  /** When a touch of this claim that is still unsent is taken up by somebody else. */
  readonly recheckAt: Date;
  /** So many of its touches begin to be sent with the claim itself; the others are left claimed. */
  readonly begin: number;
  /** Whether touches of that channel may begin: where it takes nothing, no lead is marked as reached. Absent: all. */
  readonly mayBegin?: (touch: { readonly channel: Channel; readonly workspaceId: string }) => boolean;
  /** Steps of these channels, of all workspaces or of one, are passed over and stay due. */
  readonly without?: readonly ClosedChannel[];
  /** The most rows of each workspace. */
  readonly share: number;
  readonly workspaces: readonly ClaimedFrom[];
}

/** A workspace with the last instance that this run has claimed of it. */
export interface ClaimedFrom extends Pick<DueWorkspace, "id" | "capped"> {
  readonly after: Pick<DueCandidate, "nextStepDue" | "instanceId"> | null;
}

/** A due instance, or a row that does not parse and why. */
export interface DueCandidate {
  readonly instanceId: string;
  readonly workspaceId: string;
  readonly position: number;
  readonly nextStepDue: Date;
  readonly heldSince: Date | null;
  readonly read: { readonly item: DueItem } | { readonly fault: string };
}

export interface Plan {
  readonly instanceId: string;
  readonly workspaceId: string;
  readonly state: InstanceState;
  readonly touch: NewTouch | null;
}

export interface NewTouch {
  readonly status: "claimed" | "awaiting_approval";
  readonly stepId: string;
  readonly channel: Channel;
  readonly message: Message;
  /** When the lead was last reached as the decision saw it: it waits where another touch has gone since then. */
  readonly expectedOutboundAt: Date | null;
  /** Until when it may go without being decided on again; null: it has to be. */
  readonly sendUntil: Date | null;
  readonly expiresAt: Date | null;
}

/** A plan that was carried out. Its touch is null where it planned none, or where that step had been claimed before. */
export interface ClaimedPlan {
  readonly instanceId: string;
  readonly touchId: string | null;
  /** The touch where it is `sending` already. */
  readonly begun: OutgoingTouch | null;
}

/** Held in a transaction on a connection of its own: the server frees it when the run ends, crashes or is cut off. */
export interface OverlapLock {
  tryAcquire(): Promise<HeldLock | undefined>;
  /** Who holds it; undefined where it was freed meanwhile. */
  holder(): Promise<LockHolder | undefined>;
}

export interface HeldLock {
  readonly pid: number;
  /** False once its connection has died: then another run may be at work. */
  isHeld(): boolean;
  release(): Promise<void>;
}

export interface RunRecord {
  /** Leaves the row of a run that has begun; answers its id. */
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

/** All that a run reaches the world through. */
export interface RunPorts {
  /** The database's clock, which also stamps bookings. Throws DatabaseUnreachable. */
  readonly now: () => Promise<Date>;
  /** What the database lacks of the schema that this code was built with. Throws UnsafeDatabaseSettings, DatabaseUnreachable. */
  readonly missingSchema: () => Promise<readonly string[]>;
  readonly workspaceExists: (workspaceId: string) => Promise<boolean>;
  readonly lock: OverlapLock;
  readonly runs: RunRecord;
  readonly store: FollowUpStore;
  /** Runs `work` on a store that reads one snapshot, writes nothing and locks no row: no other transaction waits for it. */
  readonly rehearse: (work: (store: FollowUpStore) => Promise<void>) => Promise<void>;
  readonly channels: Readonly<Record<Channel, MessageChannel>>;
  readonly digests: Readonly<Record<DigestChannel, DigestSender>>;
  /** Null: a run sends what it claims. */
  readonly queue: DeliveryQueue | null;
  readonly log: Log;
}
