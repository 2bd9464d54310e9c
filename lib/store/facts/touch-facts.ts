import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { type ApprovalAnswer, approveTouch, rejectTouch } from "../approvals.ts";
import type { Transactional } from "../sql.ts";
import { failTouch, recordOutcome } from "../touch-outcomes.ts";
import { APPLIED, applyOnce, STALE } from "./apply-once.ts";
import { refuseFact } from "./leads.ts";

/** Approves a waiting touch if its text is still the one that the person saw. */
export const touchApproved = (db: Transactional, given: FactOf<"touch.approved">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) =>
    outcomeOf(await approveTouch(transaction, { ...fact, at: now })),
  );

/** Rejects a waiting touch: it is never sent, and its sequence continues. */
export const touchRejected = (db: Transactional, given: FactOf<"touch.rejected">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) =>
    outcomeOf(await rejectTouch(transaction, { ...fact, at: now })),
  );

/** Records that a message arrived. Its touch is thereby sent, if its outcome was unknown. Stale for an unknown touch. */
export const touchDelivered = (db: Transactional, given: FactOf<"touch.delivered">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, _now, { workspaceId, touchId, occurredAt }) => {
    const outcome = { workspaceId, touchIds: [touchId], outcome: "delivered", at: occurredAt } as const;
    return (await recordOutcome(transaction, outcome)) > 0 ? APPLIED : STALE;
  });

/** Fails a touch that the provider did not send. Stale for an unknown touch, and for one that arrived or failed. */
export const touchFailed = (db: Transactional, given: FactOf<"touch.failed">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, { workspaceId, touchId, reason }) =>
    (await failTouch(transaction, { workspaceId, touchId, reason, now })) ? APPLIED : STALE,
  );

const outcomeOf = ({ outcome, reason }: ApprovalAnswer): FactOutcome =>
  outcome === "refused" ? refuseFact(`touchId: ${reason}`) : APPLIED;
