import type { AppointmentStatus } from "./labels.ts";

/** What one event says of a meeting. */
export interface MeetingState {
  readonly status: AppointmentStatus;
  readonly startsAt: Date;
  readonly endsAt: Date;
  /** The provider's own time of the event. */
  readonly lastEventAt: Date;
}

/** Of two events of one instant: a calendar that moves a meeting may cancel and confirm it in the same second. */
const RANK: Readonly<Record<AppointmentStatus, number>> = { cancelled: 1, missed: 2, confirmed: 3 };

/**
 * Whether what is told comes after what is known. A total order of everything that can be told of a meeting, so that the
 * same events leave the same state in whatever order they arrive.
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

/** Whether the lead is expected: the meeting is confirmed and not over. */
export const isAhead = (known: MeetingState | null, now: Date): boolean =>
  known?.status === "confirmed" && known.endsAt > now;
