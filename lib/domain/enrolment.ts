import type { LeadFacts } from "./due-item.ts";
import type { LeadStatus } from "./labels.ts";
import { isTimeZone } from "./time-zone.ts";

/** What is asked of a lead before it enters a sequence. */
export interface EnrolmentFacts {
  /** A label of `LEAD_STATUSES`, unless the database is ahead of this code. */
  readonly status: string;
  readonly isBooked: boolean;
  /** Whether a meeting was booked after the moment at which it was to be enrolled, whatever became of that meeting. */
  readonly bookedSince: boolean;
  readonly optedOutAt: Date | null;
  readonly suppressed: LeadFacts["suppressed"];
  /** Null: that of its workspace. */
  readonly timeZone: string | null;
  /** Whether it is or was in the sequence. */
  readonly knowsSequence: boolean;
  /** Whether it began the sequence at or after the moment at which it was to be enrolled. */
  readonly startedSince: boolean;
}

export interface Enrolling {
  readonly isPostBooking: boolean;
  /** Whether a lead that is or was in the sequence begins anew. */
  readonly restart: boolean;
}

/** What became of one lead of an enrolment. */
export type EnrolmentVerdict =
  | "enrolled"
  | "already_enrolled"
  | "booked"
  | "opted_out"
  | "complained"
  | `invalid: ${string}`;

export function enrolmentVerdict(lead: EnrolmentFacts, { isPostBooking, restart }: Enrolling): EnrolmentVerdict {
  if (lead.suppressed) return lead.suppressed;
  if (lead.optedOutAt) return "opted_out";
  if (!mayBeContacted(lead)) return `invalid: the lead is ${lead.status}`;
  if ((lead.isBooked || lead.bookedSince) && !isPostBooking) return "booked";
  if (lead.startedSince || (lead.knowsSequence && !restart)) return "already_enrolled";
  if (lead.timeZone !== null && !isTimeZone(lead.timeZone)) return "invalid: time_zone of the lead is not a time zone";
  return "enrolled";
}

const TO_BE_CONTACTED: readonly LeadStatus[] = ["new", "qualified", "meeting-requested", "meeting-booked"];
const isToBeContacted = (status: string): boolean => TO_BE_CONTACTED.some((known) => known === status);

/** Whether anything that starts for the lead would not be ended by the first rule on contact. */
export const mayBeContacted = ({
  status,
  optedOutAt,
  suppressed,
}: Pick<EnrolmentFacts, "status" | "optedOutAt" | "suppressed">): boolean =>
  optedOutAt === null && suppressed === null && isToBeContacted(status);
