import type { SweepWindow } from "../domain/labels.ts";
import { DAY_MS, MINUTE_MS } from "../domain/time-zone.ts";
import type { ListedMeeting, TimeRange } from "./port.ts";

/** Which meetings are compared, and how often. */
export interface SweepSettings {
  /** Hot: meetings that start within so many days, compared every so many minutes. */
  readonly hotDays: number;
  readonly hotMinutes: number;
  /** Warm: later meetings up to so many days ahead, and past ones, compared every so many minutes. */
  readonly warmDays: number;
  readonly warmMinutes: number;
}

export const SWEEP_DEFAULTS: SweepSettings = { hotDays: 14, hotMinutes: 5, warmDays: 90, warmMinutes: 60 };

/** A meeting that ended earlier is final: a no-show is recorded within a week. */
const PAST_DAYS = 7;
/** A meeting that began a moment ago is still hot, so that a clock may be ahead. */
const CLOCK_TOLERANCE_MS = 10 * MINUTE_MS;
/** Tools select by start, and the end decides. A longer meeting counts as over a day after its start. */
const LONGEST_MS = DAY_MS;

type Times = Pick<ListedMeeting, "status" | "startsAt" | "endsAt">;
type Days = Pick<SweepSettings, "hotDays" | "warmDays">;

/** The window that a meeting belongs to now. Undefined if nothing about it becomes a fact. */
export function windowOf({ status, startsAt, endsAt }: Times, now: Date, days: Days): SweepWindow | undefined {
  if (status === "tentative") return undefined;
  const { hotFrom, hotTo, to, endedAfter } = limitsOf(now, days);
  if (startsAt >= to) return undefined;
  if (startsAt >= hotTo) return "warm";
  if (startsAt >= hotFrom) return "hot";
  return endsAt >= endedAfter ? "warm" : undefined;
}

/** The ranges of starts that hold every meeting of the window. */
export function rangesOf(window: SweepWindow, now: Date, days: Days): readonly TimeRange[] {
  const { hotFrom, hotTo, to, endedAfter } = limitsOf(now, days);
  if (window === "hot") return [{ from: hotFrom, to: hotTo }];
  const past = { from: new Date(+endedAfter - LONGEST_MS), to: hotFrom };
  return hotTo < to ? [past, { from: hotTo, to }] : [past];
}

function limitsOf(now: Date, { hotDays, warmDays }: Days) {
  const after = (ms: number) => new Date(+now + ms);
  return {
    hotFrom: after(-CLOCK_TOLERANCE_MS),
    hotTo: after(hotDays * DAY_MS),
    to: after(Math.max(hotDays, warmDays) * DAY_MS),
    endedAfter: after(-PAST_DAYS * DAY_MS),
  };
}

/** The state of a meeting when its people were last read. */
export interface ReadMeeting {
  /** Undefined if some of its people could not be read. */
  readonly version: string | undefined;
  readonly readAt: Date;
  /** Each person missed it or cancelled, so no later change counts. */
  readonly isFinal: boolean;
}

/**
 * Whether the people of an eligible meeting must be read: its version is new, or it has ended. Only its people show
 * whether they missed it.
 */
export function mustRead(
  meeting: Times & Pick<ListedMeeting, "version">,
  before: ReadMeeting | undefined,
  {
    listsMissed,
    now,
    warmMinutes,
  }: { readonly listsMissed: boolean; readonly now: Date; readonly warmMinutes: number },
): boolean {
  if (before?.version !== meeting.version) return true;
  const mayBeMissed = !listsMissed && meeting.status === "confirmed" && meeting.endsAt <= now && !before.isFinal;
  // A sweep that stopped half-way goes on where it stopped.
  return mayBeMissed && +now - +before.readAt > (warmMinutes * MINUTE_MS) / 2;
}
