import { Temporal } from "temporal-polyfill";
import type { AppointmentStatus } from "./labels.ts";
import { isRecord } from "./record.ts";
import { EARLIEST, HOUR_MS, isTimeZone, LATEST, MINUTE_MS } from "./time-zone.ts";

/** The state of a meeting according to one event. */
export interface MeetingState {
  readonly status: AppointmentStatus;
  readonly startsAt: Date;
  readonly endsAt: Date;
  /** The event time from the provider. */
  readonly lastEventAt: Date;
}

/** Tie-break for events at the same instant: a reschedule may cancel and confirm in the same second. */
const RANK: Readonly<Record<AppointmentStatus, number>> = { cancelled: 1, missed: 2, confirmed: 3 };

/**
 * Whether the event is newer than the known state. The order is total, so the same events produce the same state in any
 * order of arrival.
 */
export function isNews(event: MeetingState, known: MeetingState | null): boolean {
  if (known === null) return true;
  for (const [index, place] of placeOf(event).entries()) {
    const difference = place - (placeOf(known)[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

const placeOf = ({ lastEventAt, status, startsAt, endsAt }: MeetingState): readonly number[] => [
  lastEventAt.getTime(),
  RANK[status],
  startsAt.getTime(),
  endsAt.getTime(),
];

/** Whether the meeting is confirmed and not over. */
export const isAhead = (known: MeetingState | null, now: Date): boolean =>
  known?.status === "confirmed" && known.endsAt > now;

/** The times of a meeting, as the calendar sent them. */
export interface SentTimes {
  readonly startsAt?: unknown;
  readonly endsAt?: unknown;
  readonly durationMinutes?: unknown;
  /** Applies to times without their own zone. */
  readonly timeZone?: unknown;
}

interface ReadTimes {
  /** Null if no time can be parsed. */
  readonly times: { readonly startsAt: Date; readonly endsAt: Date } | null;
  /** The assumptions made, without the values. */
  readonly assumed: readonly string[];
}

const MOST_MINUTES = 366 * 24 * 60;
/** The last zone in which a local time passes. */
const LAST_ZONE = "-12:00";

/**
 * Parses meeting times in the forms that calendars use: instants, local times, whole days, Unix times, and objects such
 * as `{ dateTime, timeZone }` and `{ date }`. Assumptions never make the meeting end too early.
 */
export function readMeetingTimes(sent: SentTimes): ReadTimes {
  const start = readTime(sent.startsAt, sent.timeZone);
  const end = readTime(sent.endsAt, sent.timeZone);
  const first = start ?? end;
  if (!first) return { times: null, assumed: ["its times cannot be read: no meeting was stored"] };
  const assumed = new Set([start, end].flatMap((time) => time?.assumed ?? []));
  if (!start) assumed.add("it has no start: an hour before its end was assumed");
  const startsAt = start ? start.earliest : first.earliest - HOUR_MS;
  const endsAt = (end && endOf(end, startsAt)) ?? startsAt + minutesOf(sent.durationMinutes) * MINUTE_MS;
  if (Number.isFinite(endsAt))
    return { times: { startsAt: new Date(startsAt), endsAt: new Date(endsAt) }, assumed: [...assumed] };
  assumed.add(end ? "it does not end after its start: an hour was assumed" : "it has no end: an hour was assumed");
  const assumedEnd = Math.max(first.latest, startsAt + HOUR_MS);
  return { times: { startsAt: new Date(startsAt), endsAt: new Date(assumedEnd) }, assumed: [...assumed] };
}

/** NaN if invalid. */
const minutesOf = (value: unknown): number => {
  const minutes = typeof value === "string" ? Number(value) : value;
  return typeof minutes === "number" && minutes > 0 && minutes <= MOST_MINUTES ? minutes : Number.NaN;
};

/** The end, or NaN if it is not after the start. Calendars end a whole day at the next day or at the same day. */
const endOf = (end: Time, startsAt: number): number => {
  if (end.earliest > startsAt) return end.isDay ? end.earliestEnd : end.latest;
  return end.isDay && end.latest > startsAt ? end.latest : Number.NaN;
};

interface Time {
  readonly earliest: number;
  readonly latest: number;
  /** For a whole day as the exclusive end: its start in the last zone. */
  readonly earliestEnd: number;
  readonly isDay: boolean;
  readonly assumed: readonly string[];
}

function readTime(value: unknown, zone: unknown): Time | undefined {
  if (isRecord(value)) {
    const inner = value["dateTime"] ?? value["date"];
    return isRecord(inner) ? undefined : readTime(inner, value["timeZone"] ?? zone);
  }
  if (typeof value === "number") return instantOf(value);
  if (typeof value !== "string") return undefined;
  const text = value.trim();
  if (/^\d{9,16}$/.test(text)) return instantOf(Number(text));
  return [readInstant, readLocal].map((read) => attempt(() => read(text, zone))).find((time) => time !== undefined);
}

/** Unix time in seconds, or in milliseconds if the value is too large for seconds. */
function instantOf(unixTime: number): Time | undefined {
  const milliseconds = Math.abs(unixTime) < 1e11 ? unixTime * 1_000 : unixTime;
  return within(milliseconds, milliseconds, { assumed: ["its times are numbers: read as Unix time"] });
}

function readInstant(text: string): Time | undefined {
  const milliseconds = Temporal.Instant.from(text).epochMilliseconds;
  return within(milliseconds, milliseconds, {});
}

function readLocal(text: string, zone: unknown): Time | undefined {
  const isDay = /^\d{4}-?\d\d-?\d\d$/.test(text);
  const local = Temporal.PlainDateTime.from(text);
  const known = typeof zone === "string" && isTimeZone(zone) ? zone : undefined;
  const at = (time: Temporal.PlainDateTime, where: string) => time.toZonedDateTime(known ?? where).epochMilliseconds;
  const assumed = [
    ...(known ? [] : ["its times have no time zone: it counts as over once it is over everywhere"]),
    ...(isDay ? ["it is a whole day"] : []),
  ];
  const latest = at(isDay ? local.add({ days: 1 }) : local, LAST_ZONE);
  return within(at(local, "UTC"), latest, { isDay, assumed, earliestEnd: at(local, LAST_ZONE) });
}

function within(earliest: number, latest: number, rest: Partial<Time>): Time | undefined {
  const fits = [earliest, latest].every((time) => time >= EARLIEST && time < LATEST);
  return fits ? { earliestEnd: latest, isDay: false, assumed: [], ...rest, earliest, latest } : undefined;
}

function attempt(read: () => Time | undefined): Time | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof RangeError || thrown instanceof TypeError) return undefined;
    throw thrown;
  }
}
