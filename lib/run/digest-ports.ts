import type { DigestWindow, OpenWindow } from "../domain/digest.ts";
import type { BatchQuery } from "./batch-query.ts";
import type { OutgoingDigest } from "./channel-ports.ts";
import type { Settlement } from "./delivery-ports.ts";

/** Closes digest windows, and claims and settles digests. */
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
  readonly checked: number;
  /** Closed windows without events or without receivers. */
  readonly skipped: number;
}

/** A digest without a receiver is skipped. */
export type DigestSettlement =
  | Settlement
  | { readonly id: string; readonly status: "skipped"; readonly reason: string };
