import type { AppointmentStatus } from "./labels.ts";

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
export function isNews(told: MeetingState, known: MeetingState | null): boolean {
  if (known === null) return true;
  for (const [index, place] of placeOf(told).entries()) {
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
