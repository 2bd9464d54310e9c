import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { DAY_MS, MINUTE_MS } from "../lib/domain/time-zone.ts";
import { listenOnLoopback } from "./loopback.ts";

/** A meeting of one invitee. Times are instants in ISO 8601. */
export interface CalendlyMeeting {
  readonly event: string;
  readonly invitee: string;
  readonly email: string;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly bookedAt: string;
  readonly cancelledAt?: string | undefined;
  readonly missedAt?: string | undefined;
  /** The invitees before and after a move to another time. */
  readonly movedFrom?: Pick<CalendlyMeeting, "event" | "invitee"> | undefined;
  readonly movedTo?: Pick<CalendlyMeeting, "event" | "invitee"> | undefined;
}

/** The content of the account. */
interface CalendlyAccount {
  readonly token: string;
  readonly meetings: readonly CalendlyMeeting[];
  readonly freeTimes: readonly string[];
  readonly meetingMinutes: number;
  readonly bookingUrl: string;
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

const API = "https://api.calendly.com";
const HOST = { user: `${API}/users/HOST`, user_email: "host@acme.test", user_name: "Hana" };
const PAGE = 100;

/**
 * The answer of Calendly's API v2 to a GET, in its wire format: `/scheduled_events`, the invitees of an event,
 * `/event_types/<id>` and `/event_type_available_times`.
 */
export function calendlyAnswer(account: CalendlyAccount, url: URL, authorization: string | undefined): JsonAnswer {
  if (authorization !== `Bearer ${account.token}`) return refusal(401, "Unauthenticated");
  const { pathname, searchParams: query } = url;
  const [, event] = /^\/scheduled_events\/([^/]+)\/invitees$/.exec(pathname) ?? [];
  if (event !== undefined) return inviteesOf(account, event, query);
  if (pathname === "/scheduled_events") return eventsOf(account, query);
  if (pathname === "/event_type_available_times") return availableTimesOf(account, query);
  if (/^\/event_types\/[^/]+$/.test(pathname)) {
    const { meetingMinutes: duration, bookingUrl: scheduling_url } = account;
    return { status: 200, body: { resource: { uri: `${API}${pathname}`, active: true, duration, scheduling_url } } };
  }
  return refusal(404, "Resource Not Found");
}

/** The body of the webhook that Calendly sends when this person books a meeting in a week. */
export function bookingWebhook(email: string, now: Date): string {
  const inAWeek = (minutes: number) => new Date(now.getTime() + 7 * DAY_MS + minutes * MINUTE_MS).toISOString();
  const uri = `${API}/scheduled_events/${randomUUID()}`;
  const created_at = now.toISOString();
  const scheduled_event = { uri, start_time: inAWeek(0), end_time: inAWeek(30) };
  const payload = { uri: `${uri}/invitees/${randomUUID()}`, email, created_at, scheduled_event };
  return JSON.stringify({ event: "invitee.created", created_at, payload });
}

const refusal = (status: number, title: string): JsonAnswer => ({
  status,
  body: { title, message: "The server could not process the request." },
});

function eventsOf({ meetings }: CalendlyAccount, query: URLSearchParams): JsonAnswer {
  const [after, before] = [timeOf(query, "min_start_time"), timeOf(query, "max_start_time")];
  const offset = Number(query.get("page_token") ?? 0);
  const listed = meetings
    .filter(({ startsAt }) => Date.parse(startsAt) > after && Date.parse(startsAt) < before)
    .sort((one, other) => Date.parse(one.startsAt) - Date.parse(other.startsAt));
  const collection = listed.slice(offset, offset + PAGE).map(eventOf);
  return { status: 200, body: { collection, pagination: paginationOf(offset, listed.length) } };
}

const timeOf = (query: URLSearchParams, name: string): number => Date.parse(query.get(name) ?? "");

const paginationOf = (offset: number, total: number) => ({
  count: Math.min(PAGE, total - offset),
  next_page: null,
  next_page_token: offset + PAGE < total ? String(offset + PAGE) : null,
  previous_page: null,
  previous_page_token: null,
});

function eventOf(meeting: CalendlyMeeting) {
  const { cancelledAt } = meeting;
  return {
    uri: `${API}/scheduled_events/${meeting.event}`,
    name: "Demo",
    status: cancelledAt === undefined ? "active" : "canceled",
    start_time: precise(meeting.startsAt),
    end_time: precise(meeting.endsAt),
    created_at: precise(meeting.bookedAt),
    updated_at: precise(cancelledAt ?? meeting.bookedAt),
    event_type: `${API}/event_types/DEMO`,
    event_guests: [],
    event_memberships: [HOST],
    invitees_counter: { active: cancelledAt === undefined ? 1 : 0, limit: 1, total: 1 },
    location: { type: "physical", location: "Hauptstraße 1" },
    ...(cancelledAt !== undefined && { cancellation: cancellationOf(cancelledAt) }),
  };
}

const cancellationOf = (at: string) => ({
  canceled_by: "Ida Sommer",
  canceler_type: "invitee",
  created_at: precise(at),
  reason: null,
});

function inviteesOf({ meetings }: CalendlyAccount, event: string, query: URLSearchParams): JsonAnswer {
  const invitees = meetings.filter((meeting) => meeting.event === event).map(inviteeOf);
  if (invitees.length === 0) return refusal(404, "Resource Not Found");
  const offset = Number(query.get("page_token") ?? 0);
  const collection = invitees.slice(offset, offset + PAGE);
  return { status: 200, body: { collection, pagination: paginationOf(offset, invitees.length) } };
}

const inviteeUri = ({ event, invitee }: Pick<CalendlyMeeting, "event" | "invitee">): string =>
  `${API}/scheduled_events/${event}/invitees/${invitee}`;

function inviteeOf(meeting: CalendlyMeeting) {
  const { cancelledAt, missedAt, movedFrom, movedTo } = meeting;
  return {
    uri: inviteeUri(meeting),
    email: meeting.email,
    name: "Ida Sommer",
    status: cancelledAt === undefined ? "active" : "canceled",
    event: `${API}/scheduled_events/${meeting.event}`,
    created_at: precise(meeting.bookedAt),
    updated_at: precise(missedAt ?? cancelledAt ?? meeting.bookedAt),
    rescheduled: movedTo !== undefined,
    old_invitee: movedFrom === undefined ? null : inviteeUri(movedFrom),
    new_invitee: movedTo === undefined ? null : inviteeUri(movedTo),
    text_reminder_number: null,
    no_show: missedAt === undefined ? null : { uri: `${API}/invitee_no_shows/1`, created_at: precise(missedAt) },
    ...(cancelledAt !== undefined && { cancellation: cancellationOf(cancelledAt) }),
  };
}

function availableTimesOf({ freeTimes, bookingUrl }: CalendlyAccount, query: URLSearchParams): JsonAnswer {
  const [from, to] = [timeOf(query, "start_time"), timeOf(query, "end_time")];
  if (!(to - from <= 31 * DAY_MS)) return refusal(400, "Invalid Argument");
  const collection = freeTimes
    .filter((time) => Date.parse(time) >= from && Date.parse(time) < to)
    .map((time) => ({
      status: "available",
      invitees_remaining: 1,
      start_time: time.replace(".000Z", "Z"),
      scheduling_url: `${bookingUrl}/${time}`,
    }));
  return { status: 200, body: { collection } };
}

/** With microseconds, as Calendly writes instants. */
const precise = (instant: string): string => new Date(instant).toISOString().replace("Z", "000Z");

/** A local server that answers as Calendly for the account that `account` returns. */
export async function serveCalendly(account: () => CalendlyAccount): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const { status, body } = calendlyAnswer(account(), url, request.headers.authorization);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  return { url: `http://127.0.0.1:${await listenOnLoopback(server, 0)}`, server };
}
