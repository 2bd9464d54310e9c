import type { FactOf, FactType } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import type { Transactional } from "../sql.ts";
import { leadEnrolled } from "./enrol.ts";
import { leadOptedOut, leadReplied, leadSnoozed } from "./lead-facts.ts";
import { meetingBooked, meetingCancelled, meetingMissed, meetingRescheduled } from "./meetings.ts";
import { touchApproved, touchRejected } from "./touch-facts.ts";

type Apply<Type extends FactType> = (db: Transactional, fact: FactOf<Type>) => Promise<FactOutcome>;

const APPLY: { readonly [Type in FactType]: Apply<Type> } = {
  "lead.enrolled": leadEnrolled,
  "lead.replied": leadReplied,
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
