import type { FactOf } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import { type ApprovalAnswer, approveTouch, rejectTouch } from "../approvals.ts";
import type { Transactional } from "../sql.ts";
import { applyOnce } from "./apply-once.ts";
import { refused } from "./leads.ts";

/** Approves a waiting touch if its text is still the one that the person saw. */
export const touchApproved = (db: Transactional, fact: FactOf<"touch.approved">): Promise<FactOutcome> =>
  applyOnce(db, fact, async (transaction, now) => outcomeOf(await approveTouch(transaction, { ...fact, at: now })));

/** Rejects a waiting touch: it is never sent, and its sequence continues. */
export const touchRejected = (db: Transactional, fact: FactOf<"touch.rejected">): Promise<FactOutcome> =>
  applyOnce(db, fact, async (transaction, now) => outcomeOf(await rejectTouch(transaction, { ...fact, at: now })));

const outcomeOf = ({ outcome, reason }: ApprovalAnswer): FactOutcome =>
  outcome === "refused"
    ? refused(`touchId: ${reason}`)
    : { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0 };
