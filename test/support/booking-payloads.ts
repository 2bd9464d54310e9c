import { randomUUID } from "node:crypto";

type Json = Readonly<Record<string, unknown>>;

/** A week ago, at a full minute: what happened since is in the past, and a meeting two weeks later is ahead. */
const BASE_MS = Math.floor(Date.now() / 60_000) * 60_000 - 7 * 24 * 60 * 60_000;
/** Two weeks, in minutes. */
const TWO_WEEKS = 14 * 24 * 60;

/** The instant so many minutes after the base. */
export const instantAt = (minutes: number): string => new Date(BASE_MS + minutes * 60_000).toISOString();
/** The same with microseconds, as Calendly writes it. */
export const calendlyInstant = (minutes: number): string => instantAt(minutes).replace("Z", "000Z");

export interface CalendlyInvitee {
  readonly uuid: string;
  readonly eventUuid: string;
}

export const anInvitee = (): CalendlyInvitee => ({ uuid: randomUUID(), eventUuid: randomUUID() });

const uriOf = ({ uuid, eventUuid }: CalendlyInvitee): string =>
  `https://api.calendly.com/scheduled_events/${eventUuid}/invitees/${uuid}`;

interface CalendlyOptions {
  /** When it happened, in minutes. */
  readonly at?: number;
  /** When the meeting starts, in minutes; it takes half an hour. */
  readonly starts?: number;
  readonly invitee?: Json;
  readonly scheduledEvent?: Json;
}

const CALENDLY_EVENTS = {
  "invitee.created": () => ({}),
  "invitee.canceled": (time: string) => ({
    status: "canceled",
    cancellation: { canceled_by: "Ida Sommer", reason: "ill", canceler_type: "invitee", created_at: time },
  }),
  "invitee_no_show.created": (time: string) => ({
    no_show: { uri: `https://api.calendly.com/invitee_no_shows/${randomUUID()}`, created_at: time },
  }),
  "invitee_no_show.deleted": () => ({ no_show: null }),
} as const;

/** A webhook of Calendly in the documented shape. */
export function calendly(
  event: keyof typeof CALENDLY_EVENTS,
  invitee: CalendlyInvitee,
  { at: minutes = 0, starts = TWO_WEEKS, ...changes }: CalendlyOptions = {},
): Json {
  return {
    created_at: calendlyInstant(minutes),
    created_by: "https://api.calendly.com/users/HHHHHHHHHHHHHHHH",
    event,
    payload: {
      cancel_url: `https://calendly.com/cancellations/${invitee.uuid}`,
      created_at: calendlyInstant(event === "invitee.created" ? minutes : 0),
      email: "ida@example.com",
      event: `https://api.calendly.com/scheduled_events/${invitee.eventUuid}`,
      first_name: "Ida",
      last_name: "Sommer",
      name: "Ida Sommer",
      new_invitee: null,
      old_invitee: null,
      questions_and_answers: [{ answer: "Our offer", position: 0, question: "What shall we talk about?" }],
      reschedule_url: `https://calendly.com/reschedulings/${invitee.uuid}`,
      rescheduled: false,
      routing_form_submission: null,
      scheduled_event: {
        created_at: calendlyInstant(0),
        end_time: calendlyInstant(starts + 30),
        event_guests: [],
        event_memberships: [
          { user: "https://api.calendly.com/users/HHHHHHHHHHHHHHHH", user_email: "host@acme.test", user_name: "Hana" },
        ],
        event_type: "https://api.calendly.com/event_types/TTTTTTTTTTTTTTTT",
        invitees_counter: { active: 1, limit: 1, total: 1 },
        location: { location: "Hauptstraße 1", type: "physical" },
        name: "Demo",
        start_time: calendlyInstant(starts),
        status: "active",
        updated_at: calendlyInstant(minutes),
        uri: `https://api.calendly.com/scheduled_events/${invitee.eventUuid}`,
        ...changes.scheduledEvent,
      },
      status: "active",
      text_reminder_number: null,
      timezone: "Europe/Berlin",
      tracking: { salesforce_uuid: null, utm_campaign: null, utm_content: null, utm_medium: null, utm_source: "mail" },
      updated_at: calendlyInstant(minutes),
      uri: uriOf(invitee),
      ...CALENDLY_EVENTS[event](calendlyInstant(minutes)),
      ...changes.invitee,
    },
  };
}

/** The two webhooks of a rescheduled event. */
export function calendlyRescheduled(from: CalendlyInvitee, to: CalendlyInvitee, options: CalendlyOptions = {}) {
  const [old_invitee, new_invitee] = [uriOf(from), uriOf(to)];
  return {
    canceled: calendly("invitee.canceled", from, { ...options, invitee: { new_invitee, rescheduled: true } }),
    created: calendly("invitee.created", to, { ...options, invitee: { old_invitee, ...options.invitee } }),
  };
}

interface CalcomOptions {
  /** When it happened, in minutes. */
  readonly at?: number;
  /** When the meeting starts, in minutes; it takes half an hour. */
  readonly starts?: number;
  readonly payload?: Json;
}

const STATUS: Readonly<Record<string, string>> = {
  BOOKING_REQUESTED: "PENDING",
  BOOKING_CANCELLED: "CANCELLED",
  BOOKING_REJECTED: "REJECTED",
};

export const calcomAttendee = (email: string, more: Json = {}): Json => ({
  email,
  language: { locale: "en" },
  name: "Ida Sommer",
  timeZone: "Europe/Berlin",
  utcOffset: 60,
  ...more,
});

/** A webhook of Cal.com about a booking, in the documented shape. */
export function calcom(
  triggerEvent: string,
  uid: string,
  { at: minutes = 0, starts = TWO_WEEKS, payload = {} }: CalcomOptions = {},
): Json {
  return {
    triggerEvent,
    createdAt: instantAt(minutes),
    payload: {
      additionalNotes: "",
      attendees: [calcomAttendee("ida@example.com")],
      bookingId: 91,
      destinationCalendar: null,
      endTime: instantAt(starts + 30),
      eventTypeId: 7,
      length: 30,
      location: "integrations:daily",
      metadata: {},
      organizer: {
        email: "host@acme.test",
        id: 5,
        language: { locale: "en" },
        name: "Hana",
        timeZone: "Europe/Berlin",
      },
      responses: {
        email: { label: "email_address", value: "ida@example.com" },
        guests: { label: "additional_guests", value: [] },
        location: { label: "location", value: { optionValue: "", value: "integrations:daily" } },
        name: { label: "your_name", value: "Ida Sommer" },
      },
      seatsPerTimeSlot: null,
      startTime: instantAt(starts),
      status: STATUS[triggerEvent] ?? "ACCEPTED",
      title: "Demo between Hana and Ida Sommer",
      type: "demo",
      uid,
      userFieldsResponses: {},
      ...payload,
    },
  };
}

/** A webhook of Cal.com about an absence: a payload of its own, without times. */
export const calcomNoShow = (bookingUid: string, attendees: readonly Json[], minutes = 0): Json => ({
  triggerEvent: "BOOKING_NO_SHOW_UPDATED",
  createdAt: instantAt(minutes),
  payload: { attendees, bookingId: 91, bookingUid, message: "marked as no-show" },
});
