import { ANY_LATER_STEP, COLD, DAY, type Story } from "./story.ts";

/** Due, but blocked by a change that only the next run detects. */
export const ABOUT_TO_STOP: readonly Story[] = [
  {
    name: "replied, not noticed",
    share: 14,
    sequences: COLD,
    status: "active",
    position: ANY_LATER_STEP,
    due: [-5, -1],
    inbound: [-9, -5],
  },
  { name: "snoozed, not noticed", share: 8, sequences: COLD, status: "active", due: [-5, -1], snoozed: [DAY, 9 * DAY] },
  {
    name: "address to come",
    share: 8,
    sequences: ["no_response"],
    status: "active",
    due: [-5, -1],
    lacks: ["email"],
    enrichment: "pending",
  },
  { name: "no address", share: 6, sequences: ["no_response"], status: "active", due: [-5, -1], lacks: ["email"] },
  { name: "automation off", share: 9, sequences: COLD, status: "active", due: [-5, -1], automation: false },
  {
    name: "opted out",
    share: 10,
    sequences: COLD,
    status: "active",
    position: ANY_LATER_STEP,
    due: [-5, -1],
    refused: true,
  },
  { name: "blacklisted", share: 5, sequences: COLD, status: "active", due: [-5, -1], standing: "blacklisted" },
  { name: "unqualified", share: 7, sequences: COLD, status: "active", due: [-5, -1], standing: "unqualified" },
  {
    name: "not interested",
    share: 9,
    sequences: COLD,
    status: "active",
    position: ANY_LATER_STEP,
    due: [-5, -1],
    standing: "not-interested",
  },
];
