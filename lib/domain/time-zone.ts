import { Temporal } from "temporal-polyfill";

/** The zone that a decision used, and whose it is. */
export interface ZoneUsed {
  readonly zone: string;
  readonly from: "lead" | "workspace" | "default";
}

/** The lead's own zone, else the workspace's, else UTC. It may not exist: ask `isTimeZone`. */
export function zoneUsed(lead: { timeZone: string | null }, workspace: { timeZone: string | null }): ZoneUsed {
  if (lead.timeZone) return { zone: lead.timeZone, from: "lead" };
  if (workspace.timeZone) return { zone: workspace.timeZone, from: "workspace" };
  return { zone: "UTC", from: "default" };
}

const known = new Map<string, boolean>();

/** Says whether the IANA time zone database, as this Node carries it, has a zone of that name. */
export function isTimeZone(zone: string): boolean {
  const remembered = known.get(zone);
  if (remembered !== undefined) return remembered;
  const found = exists(zone);
  if (known.size < 1_000) known.set(zone, found);
  return found;
}

function exists(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch (thrown) {
    if (thrown instanceof RangeError) return false;
    throw thrown;
  }
}

const MINUTES_PER_DAY = 24 * 60;

/**
 * The instant that many minutes later in local calendar time: whole days keep the local time of day across a change of
 * daylight-saving time, what is left over is elapsed time. Throws RangeError for a zone that does not exist.
 */
export function laterInZone(from: Date, delayMinutes: number, zone: string): Date {
  if (delayMinutes < MINUTES_PER_DAY) return new Date(from.getTime() + delayMinutes * 60_000);
  const asked = `${delayMinutes} ${zone}`;
  const later = laterFrom(from.getTime());
  const time = later.get(asked) ?? laterByCalendar(from, delayMinutes, zone);
  later.set(asked, time);
  return new Date(time);
}

function laterByCalendar(from: Date, delayMinutes: number, zone: string): number {
  const local = Temporal.Instant.fromEpochMilliseconds(from.getTime()).toZonedDateTimeISO(zone);
  const days = Math.floor(delayMinutes / MINUTES_PER_DAY);
  return local.add({ days, minutes: delayMinutes % MINUTES_PER_DAY }).epochMilliseconds;
}

/** A run asks from one instant for few delays in few zones; what it asked last is kept. */
const last = { from: Number.NaN, later: new Map<string, number>() };
const KEPT = 10_000;

function laterFrom(from: number): Map<string, number> {
  if (last.from !== from || last.later.size >= KEPT) Object.assign(last, { from, later: new Map() });
  return last.later;
}
