import { localDayOf, nextOpening, type SendCalendar } from "./calendar.ts";
import { CLOCKS_DIFFER_MS, MINUTE_MS, minutesAfter, zonedDateTime } from "./time-zone.ts";

/** A time at which a person can book a meeting, or at which one takes place. `endsAt` is exclusive. */
export interface Span {
  readonly startsAt: Date;
  readonly endsAt: Date;
}

/** A booking tool's report of free times. */
interface AvailabilityReport {
  readonly takenAt: Date;
  /** In order. */
  readonly free: readonly Span[];
  /** Where a person books one of them. */
  readonly bookingUrl: string | null;
}

/** The known free times of a workspace. Leads of a batch share the object. */
export interface Availability {
  /** The latest report of each tool. */
  readonly reports: readonly AvailabilityReport[];
  /** Meetings that are not over, and since when we know them. */
  readonly meetings: readonly (Span & { readonly knownAt: Date })[];
  readonly maxAgeMinutes: number;
  /** Identifies the reports. */
  readonly version: string;
}

/** A time that a text to the lead offers or offered. */
export interface OfferedTime extends Span {
  readonly touchId: string;
}

/** The inputs of an offer to one lead. */
export interface SlotFacts {
  readonly availability: Availability;
  readonly offered: readonly OfferedTime[];
}

/** Where the meeting takes place. */
export interface MeetingPlace {
  /** The zone, window and holidays of the workspace. */
  readonly hours: SendCalendar;
  /** The zone of the lead. */
  readonly zone: string;
}

/** Why a text that offers times cannot go. */
export const NO_OFFER = ["no_free_slots", "availability_outdated"] as const;
export type NoOffer = (typeof NO_OFFER)[number];

export interface Offer {
  /** At most three, in order. */
  readonly times: readonly Span[];
  readonly text: string;
  /** Rechecked from then on, even if nothing changed. */
  readonly until: Date;
  readonly version: string;
}

/** A text offers this many times. */
const MOST_TIMES = 3;
/** A time that starts sooner is not offered: the person needs time to read and to book. */
const NOTICE_MS = 60 * MINUTE_MS;

/**
 * The times that a text to a lead offers.
 *
 * Keeps those that the touch offers already and that are still free. Adds others until there are three, on different
 * days of the lead if possible. Each is within the hours of the workspace, while the lead is awake, and in no other
 * text to the lead. If none has to be replaced, it adds none. Throws RangeError for an invalid zone or window.
 */
export function offerOf(facts: SlotFacts, place: MeetingPlace, now: Date, touchId?: string): Offer | NoOffer {
  const { availability, offered } = facts;
  const reports = freshReports(availability, now);
  const oldest = reports.at(-1);
  if (!oldest) return "availability_outdated";
  const own = offered.filter((time) => time.touchId === touchId);
  const known = computedFor(availability, reports, now);
  const kept = own.filter((time) => known.free.some((each) => isSame(each, time)));
  const isWhole = own.length > 0 && kept.length === own.length;
  const before = offered.map(({ startsAt }) => startsAt.getTime());
  const times = isWhole ? kept : withNext(kept, goodTimes(known, place), before, place.zone);
  const [first] = times;
  if (!first) return "no_free_slots";
  const tooOldAt = minutesAfter(oldest.takenAt, availability.maxAgeMinutes).getTime();
  return {
    times: times.map(({ startsAt, endsAt }) => ({ startsAt, endsAt })),
    text: textOf(times, reports, place.zone),
    until: new Date(Math.min(tooOldAt, first.startsAt.getTime() - NOTICE_MS)),
    version: availability.version,
  };
}

/** The latest first. */
const freshReports = ({ reports, maxAgeMinutes }: Availability, now: Date): readonly AvailabilityReport[] =>
  reports
    .filter(({ takenAt }) => now.getTime() - takenAt.getTime() < maxAgeMinutes * MINUTE_MS)
    .toSorted((one, other) => other.takenAt.getTime() - one.takenAt.getTime());

const isSame = (one: Span, other: Span): boolean =>
  one.startsAt.getTime() === other.startsAt.getTime() && one.endsAt.getTime() === other.endsAt.getTime();

const overlap = (one: Span, other: Span): boolean => one.startsAt < other.endsAt && other.startsAt < one.endsAt;

/** Computed once for all leads that share an availability. */
interface Computed {
  readonly now: number;
  /** In order. */
  readonly free: readonly Span[];
  /** Keyed by the zone of the lead. */
  readonly good: Map<string, readonly Span[]>;
}
const computed = new WeakMap<Availability, Computed>();

function computedFor(availability: Availability, reports: readonly AvailabilityReport[], now: Date): Computed {
  const known = computed.get(availability);
  if (known?.now === now.getTime()) return known;
  const free = reports
    .flatMap((report) => report.free.filter((time) => isFree(time, report, availability, now)))
    .toSorted((one, other) => one.startsAt.getTime() - other.startsAt.getTime());
  const fresh = { now: now.getTime(), free, good: new Map() };
  computed.set(availability, fresh);
  return fresh;
}

function isFree(time: Span, { takenAt }: AvailabilityReport, { meetings }: Availability, now: Date): boolean {
  if (time.startsAt.getTime() - now.getTime() <= NOTICE_MS) return false;
  const since = takenAt.getTime() - CLOCKS_DIFFER_MS;
  return !meetings.some((meeting) => meeting.knownAt.getTime() > since && overlap(meeting, time));
}

/** The free times within the hours of the workspace and while a lead in that zone is awake. */
function goodTimes({ free, good }: Computed, { hours, zone }: MeetingPlace): readonly Span[] {
  const times = good.get(zone) ?? free.filter((time) => isAwake(time, zone) && isWithin(time, hours));
  good.set(zone, times);
  return times;
}

/** A window that is open around the clock has an opening for each day. */
function isWithin({ startsAt, endsAt }: Span, hours: SendCalendar): boolean {
  for (let from = startsAt; ; ) {
    const opening = nextOpening(from, hours);
    if (opening?.from.getTime() !== from.getTime()) return false;
    if (opening.until >= endsAt) return true;
    from = opening.until;
  }
}

/** People do not want a meeting before or after these hours of their day. */
const WAKING_HOURS = { from: 8, until: 21 };

function isAwake({ startsAt, endsAt }: Span, zone: string): boolean {
  const start = zonedDateTime(startsAt.getTime(), zone);
  const end = zonedDateTime(endsAt.getTime(), zone);
  if (start.hour < WAKING_HOURS.from || !start.toPlainDate().equals(end.toPlainDate())) return false;
  return end.toPlainTime().since({ hour: WAKING_HOURS.until }).sign <= 0;
}

/** The kept times with the next good ones: the first of each other day, then the earliest of the rest. In order. */
function withNext(
  kept: readonly Span[],
  good: readonly Span[],
  before: readonly number[],
  zone: string,
): readonly Span[] {
  const chosen = [...kept];
  const rest: Span[] = [];
  const days = new Set(kept.map(({ startsAt }) => localDayOf(startsAt, zone)));
  for (const time of good) {
    if (chosen.length >= MOST_TIMES) break;
    if (before.includes(time.startsAt.getTime()) || [...chosen, ...rest].some((each) => overlap(each, time))) continue;
    const day = localDayOf(time.startsAt, zone);
    if (!days.has(day)) chosen.push(time);
    else if (rest.length < MOST_TIMES) rest.push(time);
    days.add(day);
  }
  return [...chosen, ...rest.slice(0, MOST_TIMES - chosen.length)].toSorted(
    (one, other) => one.startsAt.getTime() - other.startsAt.getTime(),
  );
}

/** The page of the tool that offers the time. */
const linkTo = (reports: readonly AvailabilityReport[], time: Span): string | null =>
  reports.find(({ free }) => free.some((each) => isSame(each, time)))?.bookingUrl ?? null;

/** The page is the last line, or stands behind each time if not all are on one page. */
function textOf(times: readonly Span[], reports: readonly AvailabilityReport[], zone: string): string {
  const links = times.map((time) => linkTo(reports, time));
  const [link] = links;
  const isOnePage = links.every((one) => one === link);
  const lines = times.map(({ startsAt }, at) => {
    const own = isOnePage ? null : links[at];
    return own ? `${lineOf(startsAt, zone)}: ${own}` : lineOf(startsAt, zone);
  });
  return (isOnePage && link ? [...lines, `Book here: ${link}`] : lines).join("\n");
}

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** Such as `Tuesday, 8 December, 14:30 (Europe/Berlin)`. No clock change repeats an hour in which people are awake. */
function lineOf(startsAt: Date, zone: string): string {
  const local = zonedDateTime(startsAt.getTime(), zone);
  const clock = local.toPlainTime().toString({ smallestUnit: "minute" });
  // `Etc/GMT+5` is five hours behind, although its name says the opposite.
  const named = /^([+-]|(Etc\/)?GMT[+-])/i.test(zone) ? `UTC${local.offset}` : local.timeZoneId;
  return `${DAYS[local.dayOfWeek - 1]}, ${local.day} ${MONTHS[local.month - 1]}, ${clock} (${named})`;
}
