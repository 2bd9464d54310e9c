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
  const days = Math.floor(delayMinutes / MINUTES_PER_DAY);
  if (days === 0) return new Date(from.getTime() + delayMinutes * 60_000);
  const local = Temporal.Instant.fromEpochMilliseconds(from.getTime()).toZonedDateTimeISO(zone);
  return new Date(local.add({ days, minutes: delayMinutes % MINUTES_PER_DAY }).epochMilliseconds);
}
