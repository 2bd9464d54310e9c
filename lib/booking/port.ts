import { createHash } from "node:crypto";
import type { BookingToolName } from "../domain/labels.ts";
import type { Span } from "../domain/offered-slots.ts";
import type { Booking } from "../inbound/booking-facts.ts";

/** The API of a booking tool, for one connection. Every method rejects with a BookingToolFault and nothing else. */
export interface BookingTool {
  readonly name: BookingToolName;
  /** Whether the list shows that a person missed a meeting. If not, only `details` of an ended meeting show it. */
  readonly listsMissed: boolean;
  /**
   * The meetings that start at `from` or later and before `to`, each once, in order of their start. If the tool lists
   * meetings in parts, those of the first part. With `parts`, the `rest` of an earlier list of this window, only those
   * are read. Rejects if the list cannot be read. A meeting that cannot be read is in `unread`.
   */
  meetings(window: TimeRange, budget: CallBudget, parts?: ListParts): Promise<MeetingList>;
  /** The bookings of a meeting that this tool listed, one a person. Costs no call if the list holds it. */
  details(meeting: ListedMeeting, budget: CallBudget): Promise<MeetingDetails>;
  /** Free times that start in the range, in order. Absent if the tool or the connection offers none. */
  freeSlots?(range: TimeRange, budget: CallBudget): Promise<FreeSlots>;
}

/** Parts of a list, as the tool names them, such as calendars. */
export type ListParts = readonly string[];

interface MeetingList {
  readonly meetings: readonly ListedMeeting[];
  readonly unread: readonly Unread[];
  /** The parts that were not read yet. Empty if the list is whole. */
  readonly rest: ListParts;
}

/**
 * Something of an answer that cannot be read, although the rest can. Holds no personal data.
 *
 * A meeting with an unknown status is one, also if its times can be read: it may be cancelled or await confirmation.
 * Neither may be guessed: a booking ends sequences, and a cancellation ends its preparation.
 */
export interface Unread {
  /** The tool's id of it. Undefined if that cannot be read either. */
  readonly id: string | undefined;
  /** The fields, what they must be, and the kinds of their values; or the call and its answer. */
  readonly reason: string;
  /** `unexpected_answer`, or why the call for it failed. */
  readonly fault: BookingToolFaultCode;
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
  /** People of the meeting who cannot be read. */
  readonly unread: readonly Unread[];
}

export interface FreeSlots {
  readonly times: readonly Span[];
  /** The page on which a person books one of the times. */
  readonly bookingUrl: string | undefined;
  /** Times that cannot be read. */
  readonly unread: readonly Unread[];
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
type BookingToolFaultCode = "unauthorised" | "throttled" | "unavailable" | "unexpected_answer" | "out_of_budget";

/** The message names the call and the fault, never a token, an address or a value of the answer. */
export class BookingToolFault extends Error {
  override readonly name: string = "BookingToolFault";
  readonly code: BookingToolFaultCode;
  /** With `throttled` only. */
  readonly until: Date | undefined;

  constructor(code: BookingToolFaultCode, message: string, until?: Date) {
    super(message);
    this.code = code;
    this.until = until;
  }
}

/** An answer between 300 and 499 about what the call names, such as 403 or 404. The token itself is valid. */
export class RefusedCall extends BookingToolFault {
  override readonly name = "RefusedCall";
  readonly status: number;

  constructor(message: string, status: number) {
    super(status === 403 ? "unauthorised" : "unexpected_answer", message);
    this.status = status;
  }
}

/**
 * Why one meeting or one calendar cannot be read. Throws the fault if the whole connection is at fault, or if it is no fault
 * of the tool.
 */
export function unreadBecause(id: string | undefined, thrown: unknown): Unread {
  if (!(thrown instanceof BookingToolFault)) throw thrown;
  const { code, message } = thrown;
  const isOfOne = thrown instanceof RefusedCall || code === "unexpected_answer" || code === "unavailable";
  if (!isOfOne) throw thrown;
  return { id, reason: message, fault: code };
}

/** The version of a meeting that has these values. They may hold personal data; the version does not. */
export const versionOf = (...values: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(values)).digest("base64url").slice(0, 22);
