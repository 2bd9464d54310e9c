import type { DigestContents } from "../domain/digest.ts";
import type { DigestWindow, OpenWindow } from "../domain/digest-times.ts";
import type { DigestChannel } from "../domain/labels.ts";
import type { BatchQuery, SendOutcome } from "./port-types.ts";

/** Database operations of the digests. Every method is safe with a concurrent run. */
export interface DigestStore {
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
  readonly looked: number;
  /** Closed windows without events or without receivers. */
  readonly skipped: number;
}

/** A due digest for one receiver. */
export interface OutgoingDigest {
  /** Id of the delivery; the same on every attempt for the same digest and receiver. */
  readonly id: string;
  readonly workspaceId: string;
  readonly channel: DigestChannel;
  /** Attempts that failed with a transient error. */
  readonly failures: number;
  readonly from: string;
  /** An e-mail address or a URL, which is a secret; null if the receiver was removed. */
  readonly to: string | null;
  readonly contents: DigestContents;
}

export interface DigestSender {
  /** Sends a digest to its receiver and returns the outcome. Throws only on a bug, which counts as `unknown`. */
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
      /** The attempt does not count: no call was begun, or the whole channel failed. */
      readonly attemptUnused?: true;
    };
