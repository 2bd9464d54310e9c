import * as z from "zod";
import { normaliseEmail } from "../domain/address.ts";
import { type About, bookingFact, meetingId, type Person, personOf, sameAddress } from "./booking-facts.ts";
import { faultsOf } from "./parse-event.ts";
import type { Translation } from "./translation.ts";

/** Any other value counts as absent: what is only useful never makes a payload invalid. */
const text = z.string().min(1).optional().catch(undefined);
/** An answer of the booking form: `{ label, value }`. */
const response = z
  .object({ value: text })
  .transform(({ value }) => value)
  .optional()
  .catch(undefined);

const booking = z.object({
  uid: text,
  /** The name of `uid` in `BOOKING_NO_SHOW_UPDATED`. */
  bookingUid: text,
  rescheduleUid: text,
  status: text,
  startTime: text,
  endTime: text,
  organizer: z.object({ email: text }).optional().catch(undefined),
  team: z
    .object({ members: z.array(z.object({ email: text })).catch([]) })
    .optional()
    .catch(undefined),
  attendees: z
    .array(z.object({ email: text, phoneNumber: text, noShow: z.boolean().optional().catch(undefined) }))
    .catch([]),
  responses: z.object({ email: response, attendeePhoneNumber: response }).optional().catch(undefined),
  smsReminderNumber: text,
});
type Booking = z.infer<typeof booking>;

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
  if (!event.success) {
    return { kind: "fault", reason: `not a webhook of Cal.com: ${faultsOf(event.error).join("; ")}; ${TEMPLATE}` };
  }
  const { triggerEvent, createdAt } = event.data;
  const type = TYPES.get(triggerEvent);
  if (!type) return { kind: "ignored", reason: "an event that books or changes no meeting" };
  const parsed = booking.safeParse(event.data.payload);
  const uid = parsed.data?.uid ?? parsed.data?.bookingUid;
  if (!parsed.success || uid === undefined) return { kind: "fault", reason: `payload: has no uid; ${TEMPLATE}` };
  if (type === "meeting.booked" && UNCONFIRMED.has(parsed.data.status?.toUpperCase() ?? "")) {
    return { kind: "ignored", reason: "the booking awaits confirmation" };
  }
  const attendees = attendeesOf(parsed.data);
  if (attendees === "nobody") return { kind: "fault", reason: "payload: names no address and no number" };
  const facts = attendees.flatMap(({ lead, key, noShow }) => {
    const change = type === "no-show" ? noShowType(noShow) : typeOf(type, parsed.data);
    if (change === undefined) return [];
    const replaced = change === "meeting.rescheduled" ? parsed.data.rescheduleUid : undefined;
    return bookingFact(about, {
      type: change,
      meetingId: meetingId("calcom", uid, key),
      replaces: replaced === undefined ? undefined : meetingId("calcom", replaced, key),
      lead,
      startsAt: parsed.data.startTime,
      endsAt: parsed.data.endTime,
      occurredAt: createdAt,
    });
  });
  return facts.length > 0 ? { kind: "facts", facts } : { kind: "ignored", reason: "concerns no attendee but hosts" };
}

const TYPES: ReadonlyMap<string, "meeting.booked" | "meeting.cancelled" | "no-show"> = new Map([
  ["BOOKING_CREATED", "meeting.booked"],
  ["BOOKING_RESCHEDULED", "meeting.booked"],
  ["BOOKING_CANCELLED", "meeting.cancelled"],
  ["BOOKING_REJECTED", "meeting.cancelled"],
  ["BOOKING_NO_SHOW_UPDATED", "no-show"],
]);

const UNCONFIRMED: ReadonlySet<string> = new Set(["PENDING", "AWAITING_HOST"]);

const noShowType = (noShow: boolean | undefined) =>
  noShow === undefined ? undefined : noShow ? "meeting.missed" : "meeting.booked";

/** A booking with a former uid is a rescheduled one, also if its confirmation arrives as `BOOKING_CREATED`. */
const typeOf = (type: "meeting.booked" | "meeting.cancelled", { uid, rescheduleUid }: Booking) =>
  type === "meeting.booked" && rescheduleUid !== undefined && rescheduleUid !== uid ? "meeting.rescheduled" : type;

interface Attendee {
  readonly lead: Person;
  /** Distinguishes the attendees of a booking. */
  readonly key: string;
  readonly noShow: boolean | undefined;
}

function attendeesOf(sent: Booking): readonly Attendee[] | "nobody" {
  const { attendees, organizer, team, responses } = sent;
  const hosts = [organizer?.email, ...(team?.members.map(({ email }) => email) ?? [])];
  const isHost = (address: string) => hosts.some((host) => host !== undefined && sameAddress(host, address));
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
function bookersPhone({ attendees, responses, smsReminderNumber }: Booking, email: string | undefined) {
  const booker = responses?.email;
  const isBooker = email !== undefined && booker !== undefined ? sameAddress(email, booker) : attendees.length < 2;
  return isBooker ? (responses?.attendeePhoneNumber ?? smsReminderNumber) : undefined;
}

/** The number in an address that Cal.com makes up for an attendee who gave only a number: `491701234567@sms.cal.com`. */
function madeUpOf(email: string | undefined): string | undefined {
  const digits = /^\+?(\d+)@sms\.cal\.com$/.exec(normaliseEmail(email ?? "") ?? "")?.[1];
  return digits === undefined ? undefined : `+${digits}`;
}
