import { ANY_LATER_STEP, CHASED, COLD, DAY, type Story } from "./story.ts";

/** In a sequence that goes on: due now, or later. */
export const ON_THEIR_WAY: readonly Story[] = [
  { name: "due first step", share: 100, sequences: CHASED, status: "active", due: [-12, -0.01] },
  {
    name: "due later step",
    share: 118,
    sequences: CHASED,
    status: "active",
    position: ANY_LATER_STEP,
    due: [-36, -0.01],
  },
  {
    name: "due after a failure",
    share: 6,
    sequences: COLD,
    status: "active",
    position: [2, 2],
    due: [-6, -1],
    latest: "failed",
  },
  {
    name: "outcome unknown",
    share: 2,
    sequences: COLD,
    status: "active",
    position: [2, 2],
    due: [1, DAY],
    latest: "unknown",
  },
  { name: "just enrolled", share: 60, sequences: COLD, status: "active", due: [0.5, DAY], standing: "qualified" },
  {
    name: "waiting",
    share: 165,
    sequences: CHASED,
    status: "active",
    position: ANY_LATER_STEP,
    due: [0.5, 3 * DAY],
    standing: "qualified",
  },
  {
    name: "missed the meeting",
    share: 8,
    sequences: ["meeting_missed"],
    status: "active",
    due: [-3, -0.01],
    booking: "missed",
  },
  { name: "sequence inactive", share: 6, workspace: 3, sequences: ["winter_offer"], status: "active", due: [-48, -1] },
  { name: "not enrolled", share: 15, sequences: [] },
];
