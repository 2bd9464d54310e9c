import type { FactOf } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import { type ApprovalAnswer, approveTouch, rejectTouch } from "../approvals.ts";
import type { Transactional } from "../queryable.ts";
import { refused } from "./leads.ts";
import { takeInOnce } from "./take-in.ts";

/** A person approves a touch that waits, if it is still the text that was shown. */
export const touchApproved = (db: Transactional, fact: FactOf<"touch.approved">): Promise<FactOutcome> =>
  takeInOnce(db, fact, async (transaction, now) => outcomeOf(await approveTouch(transaction, { ...fact, at: now })));

/** A person rejects a touch that waits: it is never sent, and its sequence goes on. */
export const touchRejected = (db: Transactional, fact: FactOf<"touch.rejected">): Promise<FactOutcome> =>
  takeInOnce(db, fact, async (transaction, now) => outcomeOf(await rejectTouch(transaction, { ...fact, at: now })));

const outcomeOf = ({ outcome, reason }: ApprovalAnswer): FactOutcome =>
  outcome === "refused"
    ? refused(`touchId: ${reason}`)
    : { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0 };
