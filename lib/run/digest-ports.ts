import type { DigestContents } from "../domain/digest.ts";
import type { DigestWindow, OpenWindow } from "../domain/digest-times.ts";
import type { DigestChannel } from "../domain/labels.ts";
import type { BatchQuery, SendOutcome } from "./port-types.ts";

/** What the digests ask of the database. Every method is safe beside a second run. */
export interface DigestStore {
  /** Whether a window has ended or a delivery waits: two looks at an index. */
  isDigestDue(query: Omit<BatchQuery, "limit">): Promise<boolean>;
  /**
   * One transaction: asks `close` what becomes of windows whose end has come, and gives each event of a closed one to its
   * digest. A digest has a delivery for each receiver.
   */
  closeDigestWindows(query: BatchQuery, close: (open: OpenWindow) => DigestWindow): Promise<ClosedWindows>;
  /** Ends deliveries whose sender died: nobody knows whether they went out. Answers how many. */
  expireDigestLeases(query: BatchQuery): Promise<number>;
  /** How many deliveries `takeUpDigests` would take in all. */
  countDigests(query: Omit<BatchQuery, "limit">): Promise<number>;
  /** Moves deliveries whose time has come to `sending`, those that have waited longest first. */
  takeUpDigests(query: BatchQuery, leaseUntil: Date): Promise<readonly OutgoingDigest[]>;
  settleDigest(settlement: DigestSettlement, now: Date): Promise<void>;
}

export interface ClosedWindows {
  /** Workspaces that were looked at. */
  readonly looked: number;
  /** Closed windows with nothing to tell, or nobody to tell it to. */
  readonly skipped: number;
}

/** A digest whose moment has come, for one receiver. */
export interface OutgoingDigest {
  /** Of the delivery: the same whenever the same digest comes to the same receiver. */
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: DigestChannel;
  /** Attempts that failed for now. */
  readonly failures: number;
  readonly from: string;
  /** An e-mail address or a URL, which is a secret; null where nobody is to be told any more. */
  readonly to: string | null;
  readonly contents: DigestContents;
}

export interface DigestSender {
  /** Sends a digest to its receiver. Answers with what became of it; throws only on a bug, which counts as unknown. */
  send(digest: OutgoingDigest, to: string): Promise<SendOutcome>;
}

export type DigestSettlement =
  | { readonly id: string; readonly status: "sent"; readonly providerId: string }
  | { readonly id: string; readonly status: "failed" | "unknown" | "skipped"; readonly reason: string }
  | {
      readonly id: string;
      readonly status: "pending";
      readonly reason: string;
      readonly failures: number;
      readonly recheckAt: Date;
      /** Its attempt does not count: the channel took nothing from anybody. */
      readonly attemptUnused?: true;
    };
