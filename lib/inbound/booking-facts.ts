import { createHash } from "node:crypto";
import * as z from "zod";
import { addressKeys, normaliseEmail } from "../domain/address.ts";
import type { BookingToolName } from "../domain/labels.ts";
import { LEAD_REFERENCE } from "./facts.ts";
import type { TranslatedFact } from "./translation.ts";

/** A text of a payload. Any other value counts as absent: what is only useful never makes a payload invalid. */
export const usefulText = z.string().min(1).optional().catch(undefined);

/** The context of a payload. */
export interface About {
  readonly workspaceId: string;
  /** Used only if the payload has no time of its own. */
  readonly receivedAt: Date;
}

/**
 * The id of one person's meeting: `<tool>:<booking>`, or `<tool>:<booking>:<digest of the person>`. Everything that
 * reads a tool, webhook or API, must derive ids here, so that it names the same meeting.
 *
 * - Calendly: `booking` is the invitee's UUID, because each invitee of a group event books and cancels alone. A guest
 *   of the invitee is `person`.
 * - Cal.com: `booking` is the booking's `uid`, which all attendees share, and each attendee is a `person`.
 * - GoHighLevel: `booking` is the appointment's id. An appointment has one contact.
 */
export function meetingId(tool: BookingToolName, booking: string, person?: string): string {
  const id = `${tool}:${/^[\w-]{1,64}$/.test(booking) ? booking : digest(booking)}`;
  return person === undefined ? id : `${id}:${digest(booking, normaliseEmail(person) ?? person)}`;
}

/** The keys of a person whose meeting it is. */
export interface Person {
  readonly email?: string;
  readonly phone?: string;
}

/** The usable keys of a person. Undefined if there are none. */
export function personOf(email: string | undefined, phone: string | undefined): Person | undefined {
  const usable = {
    ...(LEAD_REFERENCE.email.safeParse(email).success && email !== undefined && { email }),
    ...(LEAD_REFERENCE.phone.safeParse(phone).success && phone !== undefined && { phone }),
  };
  return Object.keys(usable).length > 0 ? usable : undefined;
}

/** Whether an address is one of these mailboxes, in any notation. Linear, because a payload may hold thousands. */
export function oneOf(addresses: readonly string[]): (address: string) => boolean {
  const mailboxes = new Set(addresses.map(normaliseEmail));
  return (address) => mailboxes.has(normaliseEmail(address));
}

/** One person's meeting, as a tool reports it. */
export interface Booking {
  readonly type: "meeting.booked" | "meeting.rescheduled" | "meeting.cancelled" | "meeting.missed";
  readonly meetingId: string;
  /** The previous meeting id of a rescheduled booking. */
  readonly replaces?: string | undefined;
  readonly lead: Person;
  readonly startsAt: string | undefined;
  readonly endsAt: string | undefined;
  /** An instant on the tool's clock. */
  readonly occurredAt: string | undefined;
}

/**
 * The fact about one person's meeting. Its event id is the meeting id and a digest of everything that the fact says. A
 * redelivery and a sweep therefore give the same event id. A, B and A again are three events.
 */
export function bookingFact({ workspaceId, receivedAt }: About, booking: Booking): TranslatedFact {
  const { type, replaces, lead, startsAt = null, endsAt = null, occurredAt } = booking;
  const times = [startsAt, endsAt, occurredAt].map(canonical);
  const detail = {
    workspaceId,
    eventId: `${booking.meetingId}:${digest(type, replaces ?? "", ...times)}`,
    occurredAt: occurredAt ?? receivedAt.toISOString(),
    lead,
    meeting: { id: booking.meetingId, startsAt, endsAt },
  };
  if (type !== "meeting.rescheduled") return { type, detail };
  return { type, detail: { ...detail, ...(replaces !== undefined && { replaces }) } };
}

/** One notation for each instant: webhooks send microseconds, APIs milliseconds. */
function canonical(time: string | null | undefined): string {
  const milliseconds = Date.parse(time ?? "");
  return Number.isNaN(milliseconds) ? (time ?? "") : new Date(milliseconds).toISOString();
}

const digest = (...parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 24);

/** Whether an address is one of these addresses, or of one of these domains, which are written with a leading `@`. */
export function isOwn(address: string | undefined, ownAddresses: readonly string[]): boolean {
  if (address === undefined || ownAddresses.length === 0) return false;
  const keys = addressKeys(address);
  return ownAddresses.some((own) =>
    own.startsWith("@")
      ? keys.some((key) => key.endsWith(own.toLowerCase()))
      : addressKeys(own).some((key) => keys.includes(key)),
  );
}
