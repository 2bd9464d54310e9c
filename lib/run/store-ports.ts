import type { DigestWindow, OpenWindow } from "../domain/digest.ts";
import type { GuardrailLimits, MailCounts } from "../domain/guardrail.ts";
import type { GuardrailReason, PausedReason } from "../domain/labels.ts";
import type { OutgoingDigest } from "./channel-ports.ts";
import type { BatchQuery, ClaimStore } from "./claim-ports.ts";
import type { DeliveryStore, LeftoverStore, Settlement } from "./delivery-ports.ts";
import type { BackstopReport, EnrichmentReport } from "./step-reports.ts";

/** Database operations of the steps. Every method is safe with a concurrent run. */
export interface FollowUpStore
  extends InstanceStore,
    GuardrailStore,
    ClaimStore,
    DeliveryStore,
    LeftoverStore,
    DigestStore {}

/** Ends and resumes instances. */
interface InstanceStore {
  /** Completes every live instance of a booked lead outside post-booking sequences, in batches. */
  completeBooked(query: CompleteBooked): Promise<void>;
  /** Resumes instances whose pause for that reason is over. */
  resumePaused(reason: ResumableReason, query: BatchQuery): Promise<EnrichmentReport>;
}

/** Pauses workspaces whose mails bounce, or are reported as spam, too often. */
interface GuardrailStore {
  /** Workspaces with a bounce or complaint since their last check, the longest first; usually none. */
  findFlagged(query: Omit<BatchQuery, "limit">): Promise<readonly string[]>;
  /**
   * Passes the counted mails of a flagged workspace to `exceeded`. In the same transaction, pauses the workspace for
   * the returned reason, queues the digest event and clears the flag. Does not count if the workspace is paused
   * already. Undefined, and changes nothing, if another transaction checked or holds it.
   */
  checkGuardrail(query: GuardrailQuery, exceeded: ExceededLimit): Promise<GuardrailOutcome | undefined>;
}

export interface CompleteBooked extends Omit<BatchQuery, "limit"> {
  readonly stopping: () => boolean;
  /** Updated during the work, so it is correct even after a failure. */
  readonly report: BackstopReport;
}

export interface GuardrailQuery {
  readonly workspaceId: string;
  readonly now: Date;
}

export type ExceededLimit = (mails: MailCounts, limits: GuardrailLimits) => GuardrailReason | null;

/** Without an excess: the workspace goes on, or was paused already. */
export interface GuardrailOutcome {
  readonly excess: { readonly reason: GuardrailReason; readonly text: string } | null;
}

/** Pauses that a run ends. */
export type ResumableReason = Exclude<PausedReason, "awaiting_approval">;

/** Closes digest windows, and claims and settles digests. */
interface DigestStore {
  /** True if a window has ended or a delivery is waiting. Costs two index lookups. */
  isDigestDue(query: Omit<BatchQuery, "limit">): Promise<boolean>;
  /**
   * In one transaction: passes ended windows to `close` and assigns the events of each closed window to its digest. A
   * digest has one delivery per receiver.
   */
  closeDigestWindows(query: BatchQuery, close: (open: OpenWindow) => DigestWindow): Promise<ClosedWindows>;
  /** Marks deliveries with an expired lease `unknown`: they may have been sent. Returns their number. */
  expireDigestLeases(query: BatchQuery): Promise<number>;
  /** Number of deliveries that `claimDigests` would take in total. */
  countDigests(query: Omit<BatchQuery, "limit">): Promise<number>;
  /** Moves due deliveries to `sending`, longest waiting first. */
  claimDigests(query: BatchQuery, leaseUntil: Date): Promise<readonly OutgoingDigest[]>;
  settleDigest(settlement: DigestSettlement, now: Date): Promise<void>;
}

export interface ClosedWindows {
  /** Workspaces checked. */
  readonly checked: number;
  /** Closed windows without events or without receivers. */
  readonly skipped: number;
}

/** A digest without a receiver is skipped. */
export type DigestSettlement =
  | Settlement
  | { readonly id: string; readonly status: "skipped"; readonly reason: string };
