import type { BookingToolName } from "../domain/labels.ts";
import type { Booking } from "../inbound/booking-facts.ts";

/** The API of a booking tool, for one connection. Every method rejects with a BookingToolFault and nothing else. */
export interface BookingTool {
  readonly name: BookingToolName;
  /** Whether the list shows that a person missed a meeting. If not, only `details` of an ended meeting show it. */
  readonly listsMissed: boolean;
  /**
   * All meetings that start at `from` or later and before `to`, each once, in order of their start. Rejects if it cannot
   * read all of them.
   */
  meetings(window: TimeRange, budget: CallBudget): Promise<readonly ListedMeeting[]>;
  /** The bookings of a meeting that this tool listed, one a person. Costs no call if the list holds it. */
  details(meeting: ListedMeeting, budget: CallBudget): Promise<MeetingDetails>;
  /** Free times that start in the range, in order. Absent if the tool or the connection offers none. */
  freeSlots?(range: TimeRange, budget: CallBudget): Promise<FreeSlots>;
}

/** From an instant until before another. */
export interface TimeRange {
  readonly from: Date;
  readonly to: Date;
}

/** A meeting as the list of the tool shows it. It may have several people, each with a booking of their own. */
export interface ListedMeeting {
  /** The tool's id of the meeting: unique within the connection. */
  readonly id: string;
  /** Differs whenever status, times or people in the list differ. Holds no personal data. */
  readonly version: string;
  /** The status of the meeting itself. A person may have cancelled or missed a confirmed one. */
  readonly status: MeetingStatus;
  readonly startsAt: Date;
  readonly endsAt: Date;
  /** Present if the list holds them. */
  readonly details?: MeetingDetails;
}

/** `tentative`: awaits confirmation. */
export type MeetingStatus = "confirmed" | "cancelled" | "missed" | "tentative";

export interface MeetingDetails {
  /**
   * One for each person who is not a host, with the ids that webhooks give; `bookingFact` makes the fact. A person whose
   * booking moved to another meeting has none here, and that meeting's booking replaces this one.
   */
  readonly bookings: readonly Booking[];
}

export interface FreeSlots {
  readonly times: readonly Date[];
  /** How long a meeting takes. */
  readonly minutes: number;
  /** The page on which a person books one of the times. */
  readonly bookingUrl: string | undefined;
}

/** The calls that a sweep has left. All calls of a run share it. */
export interface CallBudget {
  /** Takes one call. False if none is left. */
  take(): boolean;
  /** Aborted when the time for calls is over. */
  readonly signal: AbortSignal;
}

/** The settings of a connection besides the tool's name. */
export interface BookingToolSettings {
  readonly apiToken: string;
  /** Calendly: the URI of the organisation or user. Cal.com: `organizations/<id>` or `users/<id>`. GoHighLevel: the location id. */
  readonly account?: string | undefined;
  /** The kind of meeting that `freeSlots` is for. Calendly: the URI of the event type. Cal.com: its id. */
  readonly eventType?: string | undefined;
  /** Where the API is, if not at the tool's public address. */
  readonly apiUrl?: string | undefined;
}

/**
 * Why a booking tool could not be read.
 *
 * - `unauthorised`: the token, its permissions or the settings of the connection are wrong. A person must act.
 * - `throttled`: the tool wants no call before `until`.
 * - `unavailable`: no answer, or an error of the tool. Try again later.
 * - `unexpected_answer`: the answer is not what the tool documents.
 * - `out_of_budget`: the calls or the time of the run are used up.
 */
export type BookingToolFaultCode = "unauthorised" | "throttled" | "unavailable" | "unexpected_answer" | "out_of_budget";

/** The message names the call and the fault, never a token, an address or a value of the answer. */
export class BookingToolFault extends Error {
  override readonly name = "BookingToolFault";
  readonly code: BookingToolFaultCode;
  /** With `throttled` only. */
  readonly until: Date | undefined;

  constructor(code: BookingToolFaultCode, message: string, until?: Date) {
    super(message);
    this.code = code;
    this.until = until;
  }
}
