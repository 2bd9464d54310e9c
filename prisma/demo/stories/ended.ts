import { ANY_LATER_STEP, CHASED, COLD, DAY, type Story } from "./story.ts";

/** In a sequence that has ended. */
export const ENDED: readonly Story[] = [
  {
    name: "out of steps",
    share: 60,
    sequences: COLD,
    status: "completed",
    reason: "out_of_steps",
    position: [9, 9],
    due: [-60 * DAY, -1],
  },
  {
    name: "cancelled",
    share: 25,
    sequences: CHASED,
    status: "cancelled",
    position: ANY_LATER_STEP,
    due: [-30 * DAY, -1],
  },
  {
    name: "booked earlier",
    share: 32,
    sequences: CHASED,
    status: "completed",
    reason: "meeting_booked",
    position: ANY_LATER_STEP,
    due: [-9 * DAY, -1],
    booking: "earlier",
  },
];
