import type { DueItem } from "../domain/due-item.ts";
import type { InstanceState } from "../domain/evolve.ts";
import type { Channel } from "../domain/labels.ts";
import type { Message } from "../domain/templates.ts";
import type { BackstopReport, EnrichmentReport, LockHolder, Report, ResumeReport } from "./report.ts";
import type { RunRequest } from "./request.ts";

/** The schema lacks what this code was built with. `missing` names it: a migration, a table, a column, a label. */
export class SchemaOutOfDate extends Error {
  readonly code = "schema_out_of_date";
  readonly missing: readonly string[];
  constructor(missing: readonly string[], options?: ErrorOptions) {
    super(`the database schema lacks ${missing.join(", ")}; apply the migrations, then invoke again`, options);
    this.missing = missing;
  }
}

/** No connection could be had, or it broke. Says nothing about the schema. */
export class DatabaseUnreachable extends Error {
  readonly code = "database_unreachable";
  constructor(detail: string, options?: ErrorOptions) {
    super(`the database cannot be reached: ${detail}`, options);
  }
}

/** What the steps ask of the database. Every method is safe beside a second run. */
export interface FollowUpStore {
  /** Completes every live instance of a booked lead outside post-booking sequences, in batches. */
  completeBooked(query: CompleteBooked): Promise<void>;
  resumeSnoozed(query: BatchQuery): Promise<ResumeReport>;
  resumeGhosted(query: BatchQuery): Promise<ResumeReport>;
  resumeAwaitingEnrichment(query: BatchQuery): Promise<EnrichmentReport>;
  /** One transaction: takes due instances, asks `plan` for each, and carries all plans out. None is left due. */
  claimDue(query: BatchQuery, plan: (candidate: DueCandidate) => Plan): Promise<readonly ClaimedPlan[]>;
  countDue(query: BatchQuery): Promise<number>;
  /** Moves claimed touches to `sending`, or cancels those whose lead may no longer be contacted, in one statement. */
  startSending(touchIds: readonly string[], lease: Lease): Promise<StartedSending>;
  /** Ends what died while it was sent: `claimed` again on a channel that takes the same touch twice, else `unknown`. */
  expireLeases(query: BatchQuery): Promise<{ readonly unknown: number; readonly reclaimed: number }>;
  /** Claimed touches whose time has come, in order; the ids of the page after `after`, and where it ends. */
  findToSend(query: BatchQuery, after: TouchCursor | null): Promise<ToSendPage>;
  settle(settlements: readonly Settlement[], now: Date): Promise<void>;
}

export interface BatchQuery {
  readonly now: Date;
  readonly limit: number;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}

export interface CompleteBooked extends Omit<BatchQuery, "limit"> {
  readonly stopping: () => boolean;
  /** Grows as the work goes on, so that it is true even where the work fails half-way. */
  readonly report: BackstopReport;
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
  readonly state: InstanceState;
  readonly touch: NewTouch | null;
}

export interface NewTouch {
  readonly status: "claimed" | "awaiting_approval";
  readonly stepId: string;
  readonly channel: Channel;
  readonly message: Message;
}

/** A plan that was carried out. Its touch is null where it planned none, or where that step had been claimed before. */
export interface ClaimedPlan {
  readonly instanceId: string;
  readonly touchId: string | null;
}

export interface Lease {
  readonly now: Date;
  /** When a touch that is still `sending` is nobody's any more. */
  readonly until: Date;
}

export interface TouchCursor {
  readonly nextAttemptAt: Date;
  readonly id: string;
}

export interface ToSendPage {
  readonly touchIds: readonly string[];
  /** Null where this was the last page. */
  readonly end: TouchCursor | null;
}

export interface StartedSending {
  readonly started: readonly OutgoingTouch[];
  readonly cancelled: readonly { readonly touchId: string; readonly reason: string }[];
}

/** A touch whose moment has come, with what its channel needs. */
export interface OutgoingTouch {
  readonly id: string;
  readonly workspaceId: string;
  readonly leadId: string;
  readonly channel: Channel;
  readonly attempts: number;
  readonly from: string;
  readonly email: string | null;
  readonly phone: string | null;
  readonly message: Message;
  /** The Message-IDs of the e-mails that this instance sent the lead before, in angle brackets, oldest first. */
  readonly thread: readonly string[];
}

/** What a provider made of a touch. */
export type SendOutcome =
  | { readonly kind: "accepted"; readonly providerId: string }
  /** For good: sending it again would be refused again. */
  | { readonly kind: "refused"; readonly reason: string }
  /** For now: nothing went out, and a later attempt may. */
  | { readonly kind: "retry"; readonly reason: string; readonly throttled?: Throttled }
  /** It may have gone out: never sent again blindly. */
  | { readonly kind: "unknown"; readonly reason: string };

/** The provider says that it gets too much at once: whoever sends through it should slow down. */
export interface Throttled {
  /** How long it asks to be left alone; null where it does not say. Never negative, and at most an hour. */
  readonly retryAfterMs: number | null;
}

export interface MessageChannel {
  /** Sends a touch. Answers with what became of it; throws only on a bug, which counts as unknown. */
  send(touch: OutgoingTouch): Promise<SendOutcome>;
}

export type Settlement =
  | { readonly touchId: string; readonly status: "sent"; readonly providerId: string }
  | { readonly touchId: string; readonly status: "failed" | "unknown"; readonly reason: string }
  | { readonly touchId: string; readonly status: "claimed"; readonly reason: string; readonly nextAttemptAt: Date };

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
  /** What the database lacks of the schema that this code was built with. Throws DatabaseUnreachable. */
  readonly missingSchema: () => Promise<readonly string[]>;
  readonly workspaceExists: (workspaceId: string) => Promise<boolean>;
  readonly lock: OverlapLock;
  readonly runs: RunRecord;
  readonly store: FollowUpStore;
  /** Runs `work` on a store whose writes are undone at the end, whatever happens. */
  readonly rehearse: (work: (store: FollowUpStore) => Promise<void>, timeoutMs: number) => Promise<void>;
  readonly channels: Readonly<Record<Channel, MessageChannel>>;
  readonly log: Log;
}
