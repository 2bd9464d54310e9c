import { localDayOf, nextOpening, type Opening, type SendCalendar, startOfNextLocalDay } from "./calendar.ts";
import type { HolidayPlace, LeadFacts, WorkspaceFacts } from "./due-item.ts";
import { type HolidayCalendar, holidayCalendar } from "./holidays.ts";
import { ADDRESS_OF_CHANNEL, type Channel } from "./labels.ts";
import { DAY_MS, MINUTE_MS, zoneOrUtc, zoneUsed } from "./time-zone.ts";

/** The facts that decide when a lead may be contacted. */
export interface SendFacts {
  readonly lead: Pick<LeadFacts, "timeZone" | "lastOutboundAt" | "lastTouchAt" | "twinTouchAt">;
  readonly workspace: Pick<WorkspaceFacts, "timeZone" | "sendWindow" | "holidays" | "gapMinutes">;
  readonly channel: Channel;
}

/** Why a step may not be sent now. */
type NotNow = "outside_send_window" | "closed_day" | "holiday" | "too_soon" | "channel_used_today";

/**
 * The earliest opening from `now` on in which the lead may be contacted. It is inside the send window, after the gap
 * since the last touch, and on a local day without a touch on this channel. Null if none starts within a year. Throws
 * RangeError for an invalid zone, place or window.
 */
export function earliestSend(facts: SendFacts, now: Date): Opening | null {
  const earliest = Math.max(now.getTime(), gapEnd(facts), channelDayEnd(facts, now));
  return nextOpening(earliest === now.getTime() ? now : new Date(earliest), calendarOf(facts));
}

/** Why the send window is closed at `now`; undefined while it is open. */
export function shutNow(facts: SendFacts, now: Date): NotNow | undefined {
  const calendar = calendarOf(facts);
  if (nextOpening(now, calendar)?.from === now) return undefined;
  const today = { ...calendar, window: { ...calendar.window, start: "00:00", end: "00:00" } };
  if (calendar.isHoliday(localDayOf(now, calendar.zone))) return "holiday";
  return nextOpening(now, today)?.from === now ? "outside_send_window" : "closed_day";
}

export const tooSoon = (facts: SendFacts, now: Date): boolean => gapEnd(facts) > now.getTime();

export const channelUsedToday = (facts: SendFacts, now: Date): boolean => channelDayEnd(facts, now) > now.getTime();

/** The local day for the daily cap of a workspace, such as `2026-03-08`. Uses UTC if its zone is invalid. */
export const capDayOf = (timeZone: string, now: Date): string => localDayOf(now, zoneOrUtc(timeZone));

/** When the daily cap resets. */
export const capDayEnd = (timeZone: string, now: Date): Date => startOfNextLocalDay(now, zoneOrUtc(timeZone));

/** When the lead, or another lead with the same address for this channel, was last contacted. */
export const lastReachedAt = (lead: SendFacts["lead"], channel: Channel): Date | null =>
  latest(lead.lastOutboundAt, twinReachedAt(lead, channel));

/** When the channel last contacted the lead, or another lead with the same address for this channel. */
export const lastOnChannelAt = (lead: SendFacts["lead"], channel: Channel): Date | null =>
  latest(lead.lastTouchAt[channel], twinReachedAt(lead, channel));

function twinReachedAt({ twinTouchAt }: SendFacts["lead"], channel: Channel): Date | null {
  const kind = ADDRESS_OF_CHANNEL[channel];
  return twinTouchAt && kind ? twinTouchAt[kind] : null;
}

const latest = (one: Date | null, other: Date | null): Date | null =>
  one && other && other > one ? other : (one ?? other);

/** At least a millisecond, so that one run contacts no lead or address twice. */
function gapEnd({ lead, workspace, channel }: SendFacts): number {
  const last = lastReachedAt(lead, channel);
  return last ? last.getTime() + Math.max(workspace.gapMinutes * MINUTE_MS, 1) : Number.NEGATIVE_INFINITY;
}

function channelDayEnd({ lead, workspace, channel }: SendFacts, now: Date): number {
  const last = lastOnChannelAt(lead, channel);
  if (!last) return Number.NEGATIVE_INFINITY;
  const { zone } = zoneUsed(lead, workspace);
  // Fast path: longer ago than any local day lasts.
  if (now.getTime() - last.getTime() > LONGEST_DAY_MS) return Number.NEGATIVE_INFINITY;
  return startOfNextLocalDay(last, zone).getTime();
}

const LONGEST_DAY_MS = 2 * DAY_MS;

/** The hours in which the people of a workspace take meetings: its send window, in its own zone. */
export const meetingHours = ({ timeZone, sendWindow, holidays }: SendFacts["workspace"]): SendCalendar => ({
  zone: zoneOrUtc(timeZone),
  window: sendWindow,
  isHoliday: holidaysOf(holidays),
});

const calendarOf = ({ lead, workspace }: SendFacts) => ({
  zone: zoneUsed(lead, workspace).zone,
  window: workspace.sendWindow,
  isHoliday: holidaysOf(workspace.holidays),
});

const calendars = new WeakMap<HolidayPlace, HolidayCalendar>();

/** Cached per place object: the leads of a workspace in a batch share it. */
function holidaysOf(place: HolidayPlace): HolidayCalendar {
  const known =
    calendars.get(place) ?? holidayCalendar(place.country, place.region, place.ownDates, place.workingDates);
  calendars.set(place, known);
  return known;
}
