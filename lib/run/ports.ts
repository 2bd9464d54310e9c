import type { DigestChannel } from "../domain/labels.ts";
import type { Channels, DeliveryQueue, DigestSender } from "./channel-ports.ts";
import type { BackstopReport } from "./step-reports.ts";
import type { FollowUpStore } from "./store-ports.ts";
import type { UnsubscribeLinks } from "./unsubscribe-links.ts";

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
  readonly channels: Channels;
  /** Null: the deployment has no unsubscribe links. */
  readonly unsubscribeLinks: UnsubscribeLinks | null;
  readonly digests: Readonly<Record<DigestChannel, DigestSender>>;
  /** Null: the run sends its own claims. */
  readonly queue: DeliveryQueue | null;
  readonly log: Log;
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

interface RunRecord {
  /** Inserts the row of a new run and returns its id. */
  start(run: StartedRun): Promise<string>;
  finish(runId: string, report: StoredReport, finishedAt: Date): Promise<void>;
}

export interface StartedRun {
  readonly trigger: string;
  /** Null: not scheduled. */
  readonly scheduledTime: Date | null;
  readonly requestId: string;
  readonly startedAt: Date;
  readonly deadlineAt: Date;
  readonly lockPid: number | null;
}

/** The keys of a report that have columns in `run`. The row also holds the whole report. */
export interface StoredReport {
  readonly success: boolean;
  readonly timestamp: string | null;
  readonly backstop: BackstopReport | null;
}

/** The overlap lock's holder. A holder without a `run` row is known only by its server process. */
export interface LockHolder {
  readonly runId: string | null;
  readonly requestId: string | null;
  readonly pid: number;
  /** ISO 8601 UTC. */
  readonly since: string;
  /** The holder's latest possible end, ISO 8601 UTC. */
  readonly deadlineAt: string | null;
}

export interface Log {
  info(event: string, fields: Record<string, unknown>): void;
  error(event: string, fields: Record<string, unknown>): void;
}

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
