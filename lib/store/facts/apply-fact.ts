import type { FactOf, FactType } from "../../inbound/facts.ts";
import type { FactOutcome, IntakePorts } from "../../run/apply-messages.ts";
import { type ApprovalAnswer, approveTouch, rejectTouch } from "../approvals.ts";
import type { Database } from "../connect.ts";
import { schemaGate } from "../schema-gate.ts";
import { onPool, type Transactional } from "../sql.ts";
import { applyOnce } from "./apply-once.ts";
import { leadEnrolled } from "./enrol.ts";
import { leadContacted, leadOptedOut, leadReplied, leadSnoozed } from "./lead-facts.ts";
import { refuseFact } from "./leads.ts";
import { meetingBooked, meetingCancelled, meetingMissed, meetingRescheduled } from "./meetings.ts";

type Apply<Type extends FactType> = (db: Transactional, fact: FactOf<Type>) => Promise<FactOutcome>;

/** Approves a waiting touch if its text is still the one that the person saw. */
export const touchApproved: Apply<"touch.approved"> = (db, fact) =>
  applyOnce(db, fact, async (transaction, now) => outcomeOf(await approveTouch(transaction, { ...fact, at: now })));

/** Rejects a waiting touch: it is never sent, and its sequence continues. */
export const touchRejected: Apply<"touch.rejected"> = (db, fact) =>
  applyOnce(db, fact, async (transaction, now) => outcomeOf(await rejectTouch(transaction, { ...fact, at: now })));

const outcomeOf = ({ outcome, reason }: ApprovalAnswer): FactOutcome =>
  outcome === "refused"
    ? refuseFact(`touchId: ${reason}`)
    : { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0 };

const APPLY: { readonly [Type in FactType]: Apply<Type> } = {
  "lead.enrolled": leadEnrolled,
  "lead.replied": leadReplied,
  "lead.contacted": leadContacted,
  "lead.snoozed": leadSnoozed,
  "lead.opted_out": leadOptedOut,
  "meeting.booked": meetingBooked,
  "meeting.rescheduled": meetingRescheduled,
  "meeting.cancelled": meetingCancelled,
  "meeting.missed": meetingMissed,
  "touch.approved": touchApproved,
  "touch.rejected": touchRejected,
};

/** Applies one fact in one transaction; see the function of its type. */
export const applyFact = <Type extends FactType>(db: Transactional, fact: FactOf<Type>): Promise<FactOutcome> =>
  (APPLY[fact.type as Type] as Apply<Type>)(db, fact);

/** The intake's ports on a database. */
export function intakeStore(database: Pick<Database, "pool">): Pick<IntakePorts, "missingSchema" | "apply"> {
  const db = onPool(database.pool);
  return { missingSchema: schemaGate(database), apply: (fact) => applyFact(db, fact) };
}
