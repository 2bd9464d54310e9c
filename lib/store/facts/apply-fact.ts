import type { FactOf, FactType } from "../../inbound/facts.ts";
import type { FactOutcome, IntakePorts } from "../../run/apply-messages.ts";
import type { Database } from "../connect.ts";
import { schemaGate } from "../schema-gate.ts";
import { onPool, type Transactional } from "../sql.ts";
import { leadBounced } from "./bounce-facts.ts";
import { connectionAvailability, connectionSwept } from "./connection-facts.ts";
import { leadComplained, leadOptedIn, leadOptedOut } from "./consent-facts.ts";
import { leadEnrolled } from "./enrol.ts";
import { inboundOwners } from "./inbound-owners.ts";
import { leadContacted, leadReplied, leadSnoozed } from "./lead-facts.ts";
import { meetingBooked, meetingCancelled, meetingMissed, meetingRescheduled } from "./meetings.ts";
import { touchApproved, touchDelivered, touchFailed, touchRejected } from "./touch-facts.ts";

type Apply<Type extends FactType> = (db: Transactional, fact: FactOf<Type>) => Promise<FactOutcome>;

const APPLY: { readonly [Type in FactType]: Apply<Type> } = {
  "lead.enrolled": leadEnrolled,
  "lead.replied": leadReplied,
  "lead.contacted": leadContacted,
  "lead.snoozed": leadSnoozed,
  "lead.opted_out": leadOptedOut,
  "lead.opted_in": leadOptedIn,
  "lead.bounced": leadBounced,
  "lead.complained": leadComplained,
  "meeting.booked": meetingBooked,
  "meeting.rescheduled": meetingRescheduled,
  "meeting.cancelled": meetingCancelled,
  "meeting.missed": meetingMissed,
  "touch.approved": touchApproved,
  "touch.rejected": touchRejected,
  "touch.delivered": touchDelivered,
  "touch.failed": touchFailed,
  "connection.swept": connectionSwept,
  "connection.availability": connectionAvailability,
};

/** Applies one fact in one transaction; see the function of its type. */
export const applyFact = <Type extends FactType>(db: Transactional, fact: FactOf<Type>): Promise<FactOutcome> =>
  (APPLY[fact.type as Type] as Apply<Type>)(db, fact);

/** The intake's ports on a database. */
export function intakeStore(database: Pick<Database, "pool">): Pick<IntakePorts, "missingSchema" | "apply" | "owners"> {
  const db = onPool(database.pool);
  return { missingSchema: schemaGate(database), apply: (fact) => applyFact(db, fact), owners: inboundOwners(db) };
}
