import * as z from "zod";
import { normaliseEmail } from "../domain/address.ts";
import { isRecord } from "../domain/record.ts";
import {
  type About,
  type Booking,
  bookingFact,
  meetingId,
  oneOf,
  type Person,
  personOf,
  usefulText as text,
} from "./booking-facts.ts";
import { faultsOf } from "./json.ts";
import { fault, ignored, type Translation } from "./translation.ts";

/** An answer of the booking form: `{ label, value }`. */
const response = z
  .object({ value: text })
  .transform(({ value }) => value)
  .optional()
  .catch(undefined);

/** The booker's number, if the location of the booking is a call to it. */
const calledAt = z
  .object({ value: z.object({ value: z.literal("phone"), optionValue: text }) })
  .transform(({ value }) => value.optionValue)
  .optional()
  .catch(undefined);

/** `BOOKING_NO_SHOW_UPDATED` calls the uid `bookingUid`. */
const withUid = (sent: unknown): unknown =>
  isRecord(sent) ? { ...sent, uid: sent["uid"] ?? sent["bookingUid"] } : sent;

const attendee = z
  .object({ email: text, phoneNumber: text, noShow: z.boolean().optional().catch(undefined) })
  .catch({ email: undefined, phoneNumber: undefined, noShow: undefined });
const mailbox = z.object({ email: text }).catch({ email: undefined });

const bookingPayload = z.object({
  uid: z.string().min(1),
  rescheduleUid: text,
  status: text,
  startTime: text,
  endTime: text,
  organizer: mailbox,
  team: z.object({ members: z.array(mailbox).catch([]) }).catch({ members: [] }),
  attendees: z.array(attendee).catch([]),
  responses: z
    .object({ email: response, attendeePhoneNumber: response, location: calledAt })
    .optional()
    .catch(undefined),
  smsReminderNumber: text,
});
type Payload = z.infer<typeof bookingPayload>;

const envelope = z.object({ triggerEvent: z.string(), createdAt: text, payload: z.unknown().optional() });
const TEMPLATE = "remove the custom payload template of the webhook";

/**
 * Translates a webhook of Cal.com.
 *
 * - `BOOKING_CREATED` is a booking, and `BOOKING_RESCHEDULED` a meeting that replaces that of `rescheduleUid`. A booking
 *   that awaits confirmation (`BOOKING_REQUESTED`, status `PENDING`) is none.
 * - `BOOKING_CANCELLED` and `BOOKING_REJECTED` are cancellations. The cancellation of a seat names its attendee only.
 * - `BOOKING_NO_SHOW_UPDATED` is a missed meeting of each attendee with `noShow: true`. `false` takes that back: the
 *   meeting counts as held again.
 * - Each attendee who is neither the organiser nor a member of the team has the meeting, also guests of the booker.
 *
 * Event id: see `bookingFact`; the time is that of the webhook, because the payload has no other. Account: the signing
 * key of the workspace's connection binds the Cal.com account to it; the payload is not consulted. An attendee without
 * an address is named by number; the addresses that Cal.com makes up for bookings by phone count as numbers. If no
 * attendee has either, the payload is a fault.
 *
 * Source: https://cal.com/docs/developing/guides/automation/webhooks
 */
export function translateCalcom(payload: unknown, about: About): Translation {
  const event = envelope.safeParse(payload);
  if (!event.success) return fault(`not a webhook of Cal.com: ${faultsOf(event.error).join("; ")}; ${TEMPLATE}`);
  const change = CHANGES.get(event.data.triggerEvent);
  if (!change) return ignored("an event that books or changes no meeting");
  const sent = bookingPayload.safeParse(withUid(event.data.payload));
  if (!sent.success) return fault(`payload: has no uid; ${TEMPLATE}`);
  if (change === "booked" && UNCONFIRMED.has(sent.data.status?.toUpperCase() ?? "")) {
    return ignored("the booking awaits confirmation");
  }
  const attendees = attendeesOf(sent.data);
  if (attendees === "nobody") return fault("payload: names no address and no number");
  const at = event.data.createdAt;
  const bookings = attendees.flatMap((attendee) => bookingOf(sent.data, { change, at }, attendee) ?? []);
  const facts = bookings.map((booking) => bookingFact(about, booking));
  return facts.length > 0 ? { kind: "facts", facts } : ignored("concerns no attendee but hosts");
}

/** A booking in the API. */
export interface CalcomResource {
  readonly uid: string;
  readonly status: "accepted" | "pending" | "awaiting_host" | "cancelled" | "rejected";
  readonly start: string;
  readonly end: string;
  readonly createdAt?: string | undefined;
  readonly updatedAt?: string | null | undefined;
  readonly rescheduledFromUid?: string | null | undefined;
  readonly rescheduledToUid?: string | null | undefined;
  readonly hosts: readonly unknown[];
  readonly attendees: readonly Readonly<Record<string, unknown>>[];
  readonly guests?: readonly string[] | undefined;
  /** The answers of the booking form. */
  readonly bookingFieldsResponses?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The bookings of a booking in the API: one for each attendee whom a webhook would name, with the same meeting ids.
 * None while it awaits confirmation, and none if it was rescheduled, because the new booking replaces it. The time is
 * that of the booking's last change; an absence is not before the start, because the API gives it no time of its own.
 * The API does not show that an absence was taken back, or that one seat was cancelled.
 *
 * Sources: https://cal.com/docs/api-reference/v2/bookings/get-all-bookings, and for members of a team among the attendees
 * https://github.com/calcom/cal.diy/pull/25597
 */
export function bookingsOfCalcom(resource: CalcomResource): readonly Booking[] {
  const { status, rescheduledToUid, bookingFieldsResponses: answers = {} } = resource;
  if (UNCONFIRMED.has(status.toUpperCase()) || rescheduledToUid) return [];
  const sent = bookingPayload.parse({
    uid: resource.uid,
    rescheduleUid: resource.rescheduledFromUid ?? undefined,
    startTime: resource.start,
    endTime: resource.end,
    organizer: {},
    team: { members: resource.hosts },
    attendees: peopleOf(resource).map((attendee) => ({ ...attendee, noShow: attendee["absent"] })),
    responses: {
      email: { value: answers["email"] },
      attendeePhoneNumber: { value: answers["attendeePhoneNumber"] },
      location: { value: answers["location"] },
    },
    smsReminderNumber: answers["smsReminderNumber"],
  });
  const attendees = attendeesOf(sent);
  if (attendees === "nobody") return [];
  const changedAt = resource.updatedAt ?? resource.createdAt;
  return attendees.flatMap((attendee) => {
    const isAbsent = status === "accepted" && attendee.noShow === true;
    const isTooEarly = changedAt === undefined || Date.parse(changedAt) < Date.parse(resource.start);
    const at = isAbsent && isTooEarly ? resource.start : changedAt;
    const change = isAbsent ? "no-show" : status === "accepted" ? "booked" : "cancelled";
    return bookingOf(sent, { change, at }, attendee) ?? [];
  });
}

const texts = z.array(z.string()).catch([]);

/**
 * The attendees who are no members of the team. The API names one host, and further ones among the attendees. Only the
 * form distinguishes these from the booker and the guests. With seats, each attendee is a booker.
 */
function peopleOf({
  attendees,
  guests,
  bookingFieldsResponses: answers = {},
}: CalcomResource): CalcomResource["attendees"] {
  const booker = text.parse(answers["email"]);
  if (booker === undefined || attendees.some(({ seatUid }) => seatUid !== undefined)) return attendees;
  const isBooker = oneOf([booker]);
  const isInvited = oneOf([booker, ...texts.parse(answers["guests"]), ...(guests ?? [])]);
  const addressOf = ({ email }: CalcomResource["attendees"][number]) => text.parse(email);
  const hasBooker = attendees.flatMap((one) => addressOf(one) ?? []).some(isBooker);
  if (!hasBooker) return attendees;
  return attendees.filter((one) => isInvited(addressOf(one) ?? booker));
}

type Change = "booked" | "cancelled" | "no-show";

const CHANGES: ReadonlyMap<string, Change> = new Map([
  ["BOOKING_CREATED", "booked"],
  ["BOOKING_RESCHEDULED", "booked"],
  ["BOOKING_CANCELLED", "cancelled"],
  ["BOOKING_REJECTED", "cancelled"],
  ["BOOKING_NO_SHOW_UPDATED", "no-show"],
]);

/** The events of Cal.com that concern meetings. */
export const CALCOM_EVENTS: readonly string[] = [...CHANGES.keys()];

const UNCONFIRMED: ReadonlySet<string> = new Set(["PENDING", "AWAITING_HOST"]);

/** Undefined if nothing changed for the attendee. */
function bookingOf(
  { uid, rescheduleUid, startTime, endTime }: Payload,
  { change, at }: { readonly change: Change; readonly at: string | undefined },
  { lead, key, noShow }: Attendee,
): Booking | undefined {
  const idOf = (one: string) => meetingId("calcom", one, key);
  const described = { meetingId: idOf(uid), lead, startsAt: startTime, endsAt: endTime, occurredAt: at };
  if (change === "cancelled") return { ...described, type: "meeting.cancelled" };
  if (change === "no-show") {
    if (noShow === undefined) return undefined;
    return { ...described, type: noShow ? "meeting.missed" : "meeting.booked" };
  }
  // Also if the confirmation of a rescheduled booking arrives as `BOOKING_CREATED`.
  if (rescheduleUid === undefined || rescheduleUid === uid) return { ...described, type: "meeting.booked" };
  return { ...described, type: "meeting.rescheduled", replaces: idOf(rescheduleUid) };
}

interface Attendee {
  readonly lead: Person;
  /** Distinguishes the attendees of a booking. */
  readonly key: string;
  readonly noShow: boolean | undefined;
}

function attendeesOf(sent: Payload): readonly Attendee[] | "nobody" {
  const { attendees, organizer, team, responses } = sent;
  const isHost = oneOf([organizer, ...team.members].flatMap(({ email }) => email ?? []));
  const listed =
    attendees.length > 0 ? attendees : [{ email: responses?.email, phoneNumber: undefined, noShow: undefined }];
  const named = listed.flatMap(({ email, phoneNumber, noShow }): (Attendee & { readonly isHost: boolean })[] => {
    const phone = phoneNumber ?? bookersPhone(sent, email) ?? madeUpOf(email);
    const lead = personOf(madeUpOf(email) === undefined ? email : undefined, phone);
    const key = email ?? phone;
    return lead && key !== undefined ? [{ lead, key, noShow, isHost: email !== undefined && isHost(email) }] : [];
  });
  return named.length === 0 ? "nobody" : named.filter(({ isHost }) => !isHost);
}

/** The form belongs to the booker, who is one of several attendees. */
function bookersPhone({ attendees, responses, smsReminderNumber }: Payload, email: string | undefined) {
  const booker = responses?.email;
  const isBooker = email !== undefined && booker !== undefined ? oneOf([booker])(email) : attendees.length < 2;
  return isBooker ? (responses?.attendeePhoneNumber ?? smsReminderNumber ?? responses?.location) : undefined;
}

/** The number in an address that Cal.com makes up for an attendee who gave only a number: `491701234567@sms.cal.com`. */
function madeUpOf(email: string | undefined): string | undefined {
  const digits = /^\+?(\d+)@sms\.cal\.com$/.exec(normaliseEmail(email ?? "") ?? "")?.[1];
  return digits === undefined ? undefined : `+${digits}`;
}
