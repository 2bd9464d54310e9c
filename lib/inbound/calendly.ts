import * as z from "zod";
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

const times = z.object({ created_at: text }).optional().catch(undefined);

/** The invitee's number where the host calls. For other locations it is not the invitee's. */
const calledAt = z
  .object({ type: z.literal("outbound_call"), location: text })
  .transform(({ location }) => location)
  .optional()
  .catch(undefined);

const invitee = z.object({
  uri: z.string().min(1),
  email: text,
  text_reminder_number: text,
  created_at: text,
  updated_at: text,
  status: text,
  old_invitee: text,
  rescheduled: z.boolean().catch(false),
  cancellation: times,
  no_show: times,
  scheduled_event: z
    .object({
      start_time: text,
      end_time: text,
      location: calledAt,
      event_memberships: z.array(z.object({ user_email: text }).catch({ user_email: undefined })).catch([]),
      event_guests: z.array(z.object({ email: text }).catch({ email: undefined })).catch([]),
    })
    .catch({
      start_time: undefined,
      end_time: undefined,
      location: undefined,
      event_memberships: [],
      event_guests: [],
    }),
});
type Invitee = z.infer<typeof invitee>;

const envelope = z.object({ event: z.string(), created_at: text, payload: z.unknown().optional() });

/**
 * Translates a webhook of Calendly.
 *
 * - `invitee.created` is a booking. With `old_invitee` it is a rescheduled meeting, which replaces that invitee's.
 * - `invitee.canceled` is a cancellation. With `rescheduled: true` it is none: `invitee.created` reports the new time.
 * - `invitee_no_show.created` is a missed meeting. `invitee_no_show.deleted` takes that back: the meeting counts as
 *   held again, which starts nothing because it is over.
 * - Guests of the invitee have the same meeting; hosts have none. A no-show is the invitee's alone.
 *
 * Event id: see `bookingFact`. The times are those of the invitee, its cancellation and its no-show, so that the API
 * gives the same ids. Account: the signing key of the workspace's connection binds the Calendly organisation or user to
 * it; the payload is not consulted. The number for text reminders, or else the one that the host calls, names leads too.
 * Without an address and a number, the payload is a fault.
 *
 * Sources: https://developer.calendly.com/docs/webhooks/overview and
 * https://developer.calendly.com/docs/api-guides/see-how-webhook-payloads-change-when-invitees-reschedule-events
 */
export function translateCalendly(payload: unknown, about: About): Translation {
  const event = envelope.safeParse(payload);
  if (!event.success) return fault(`not a webhook of Calendly: ${faultsOf(event.error).join("; ")}`);
  const read = READERS.get(event.data.event);
  if (!read) return ignored("an event that concerns no meeting");
  const parsed = invitee.safeParse(event.data.payload);
  if (!parsed.success) return fault(`payload: ${faultsOf(parsed.error).join("; ")}`);
  const change = read(parsed.data, event.data.created_at);
  if (change === undefined) return ignored("rescheduled: the new invitee is a webhook of its own");
  const people = peopleOf(parsed.data);
  if (people === "nobody") return fault("payload: names no address and no number");
  const concerned = people.filter(({ guest }) => change.alsoGuests || guest === undefined);
  if (concerned.length === 0) return ignored("concerns no attendee but hosts");
  return {
    kind: "facts",
    facts: concerned.map((person) => bookingFact(about, bookingOf(parsed.data, change, person))),
  };
}

/**
 * The bookings of an invitee as the API gives it, with its event as `scheduled_event`: those that the webhooks about
 * it give. None for a rescheduled invitee, whose successor has them. Undefined if it is no invitee. The API does not
 * show that a no-show was taken back.
 *
 * Source: https://developer.calendly.com/api-docs/calendly-api/scheduled-events/list-event-invitees
 */
export function bookingsOfCalendly(resource: unknown): readonly Booking[] | undefined {
  const parsed = invitee.safeParse(resource);
  if (!parsed.success) return undefined;
  const people = peopleOf(parsed.data);
  if (people === "nobody") return [];
  const changeBy = (event: string) => READERS.get(event)?.(parsed.data, parsed.data.updated_at);
  const { status, no_show } = parsed.data;
  const change = changeBy(status === "canceled" ? "invitee.canceled" : "invitee.created");
  const absence = status !== "canceled" && no_show ? changeBy("invitee_no_show.created") : undefined;
  return people.flatMap((person) => {
    const last = person.guest === undefined ? (absence ?? change) : change;
    return last ? [bookingOf(parsed.data, last, person)] : [];
  });
}

interface Change {
  readonly type: Booking["type"];
  readonly occurredAt: string | undefined;
  readonly alsoGuests: boolean;
}

/** `sentAt` is the time of the webhook, for what the invitee carries no time of. */
type Reader = (invitee: Invitee, sentAt: string | undefined) => Change | undefined;

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [
    "invitee.created",
    ({ old_invitee, created_at }, sentAt) => ({
      type: old_invitee === undefined ? "meeting.booked" : "meeting.rescheduled",
      occurredAt: created_at ?? sentAt,
      alsoGuests: true,
    }),
  ],
  [
    "invitee.canceled",
    ({ rescheduled, cancellation }, sentAt) =>
      rescheduled
        ? undefined
        : { type: "meeting.cancelled", occurredAt: cancellation?.created_at ?? sentAt, alsoGuests: true },
  ],
  [
    "invitee_no_show.created",
    ({ no_show }, sentAt) => ({
      type: "meeting.missed",
      occurredAt: no_show?.created_at ?? sentAt,
      alsoGuests: false,
    }),
  ],
  ["invitee_no_show.deleted", (_, sentAt) => ({ type: "meeting.booked", occurredAt: sentAt, alsoGuests: false })],
]);

/** The events of Calendly that concern meetings. */
export const CALENDLY_EVENTS: readonly string[] = [...READERS.keys()];

interface Attendee {
  readonly lead: Person;
  /** The address of a guest; the invitee has none here. */
  readonly guest?: string;
}

function peopleOf({ email, text_reminder_number, scheduled_event }: Invitee): readonly Attendee[] | "nobody" {
  const isHost = oneOf(scheduled_event.event_memberships.flatMap(({ user_email }) => user_email ?? []));
  const isInvitee = oneOf(email === undefined ? [] : [email]);
  const lead = personOf(email, text_reminder_number ?? scheduled_event.location);
  const guests = scheduled_event.event_guests.flatMap(({ email: guest }): Attendee[] => {
    const known = personOf(guest, undefined);
    return known && guest !== undefined && !isHost(guest) && !isInvitee(guest) ? [{ lead: known, guest }] : [];
  });
  if (!lead && guests.length === 0) return "nobody";
  return lead && !(email !== undefined && isHost(email)) ? [{ lead }, ...guests] : guests;
}

function bookingOf(
  { uri, old_invitee, scheduled_event }: Invitee,
  { type, occurredAt }: Change,
  { lead, guest }: Attendee,
): Booking {
  const idOf = (inviteeUri: string) => meetingId("calendly", uuidOf(inviteeUri), guest);
  return {
    type,
    meetingId: idOf(uri),
    replaces: type === "meeting.rescheduled" && old_invitee !== undefined ? idOf(old_invitee) : undefined,
    lead,
    startsAt: scheduled_event.start_time,
    endsAt: scheduled_event.end_time,
    occurredAt,
  };
}

/** The last part of `https://api.calendly.com/scheduled_events/<event>/invitees/<invitee>`. */
const uuidOf = (inviteeUri: string): string => /\/invitees\/([^/?#]+)/.exec(inviteeUri)?.[1] ?? inviteeUri;
