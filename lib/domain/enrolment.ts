import type { LeadFacts } from "./due-item.ts";
import { contactBar, mayBeContacted } from "./rules.ts";
import { isTimeZone } from "./time-zone.ts";

/** The facts that decide whether a lead may enter a sequence. */
export interface EnrolmentFacts {
  /** A label of `LEAD_STATUSES`, or an unknown one if the database is newer than this code. */
  readonly status: string;
  readonly isBooked: boolean;
  /** Whether a meeting was booked after the requested enrolment time, even if it was cancelled later. */
  readonly bookedSince: boolean;
  readonly optedOutAt: Date | null;
  readonly suppressed: LeadFacts["suppressed"];
  /** Null means the workspace's zone. */
  readonly timeZone: string | null;
  /** Whether the lead is or was in the sequence. */
  readonly knowsSequence: boolean;
  /** Whether the lead started the sequence at or after the requested enrolment time. */
  readonly startedSince: boolean;
}

interface Enrolling {
  readonly isPostBooking: boolean;
  /** Whether a lead that is or was in the sequence restarts it. */
  readonly restart: boolean;
}

/** The result of enrolling one lead. */
export type EnrolmentVerdict =
  | "enrolled"
  | "already_enrolled"
  | "booked"
  | "opted_out"
  | "complained"
  | `invalid: ${string}`;

export function enrolmentVerdict(lead: EnrolmentFacts, { isPostBooking, restart }: Enrolling): EnrolmentVerdict {
  const bar = contactBar(lead);
  if (bar === "opted_out" || bar === "complained") return bar;
  if (!mayBeContacted(lead)) return `invalid: the lead is ${lead.status}`;
  if ((lead.isBooked || lead.bookedSince) && !isPostBooking) return "booked";
  if (lead.startedSince || (lead.knowsSequence && !restart)) return "already_enrolled";
  if (lead.timeZone !== null && !isTimeZone(lead.timeZone)) return "invalid: time_zone of the lead is not a time zone";
  return "enrolled";
}
