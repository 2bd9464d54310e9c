import type {
  EnrichmentStatus,
  InstanceStatus,
  LeadStatus,
  PausedReason,
  TouchStatus,
} from "../../lib/domain/labels.ts";

/** Hours from the moment of loading; what is past is negative. A moment between the two is chosen for each lead. */
type Hours = readonly [from: number, to: number];

/** What has happened to a lead up to now. */
export interface Story {
  readonly name: string;
  /** How many of a thousand leads have it; 0 for one that a single lead has. */
  readonly share: number;
  readonly workspace?: number;
  /** Keys of sequences, one of which is chosen; repeated, it is chosen more often. None: not enrolled. */
  readonly sequences: readonly string[];
  readonly status?: InstanceStatus;
  /** Why it is paused or complete. */
  readonly reason?: PausedReason | "meeting_booked" | "out_of_steps";
  /** The step that is next, between the two; cut to the length of the sequence where the first lies within it. */
  readonly position?: readonly [from: number, to: number];
  /** When that step is due, was due at the pause, or when the instance ended. */
  readonly due?: Hours;
  /** The touch that the step which is next has already. */
  readonly current?: TouchStatus;
  /** What became of the touch before it; `sent` where not said. */
  readonly latest?: TouchStatus;
  readonly standing?: LeadStatus;
  readonly automation?: false;
  readonly refused?: true;
  readonly lacks?: readonly ("email" | "phone" | "company")[];
  readonly zone?: string;
  readonly enrichment?: EnrichmentStatus;
  readonly inbound?: Hours;
  /** We wrote last. */
  readonly answered?: true;
  readonly snoozed?: Hours;
  /** When a pause for enrichment is looked at again. */
  readonly look?: Hours;
  /** Booked by a bare status, by an appointment, or by both and long since dealt with; or an appointment that was missed. */
  readonly booking?: "by_hand" | "by_calendar" | "earlier" | "missed";
}

const DAY = 24;
const COLD = ["no_response", "no_response", "no_response", "setter_reply"] as const;
const CHASED = [...COLD, ...COLD, "manual"] as const;
const ANY_LATER_STEP = [2, 9] as const;
const FIRST_STEP = [1, 1] as const;

const ON_THEIR_WAY: readonly Story[] = [
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

const ABOUT_TO_STOP: readonly Story[] = [
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

const replied = { status: "paused", reason: "lead_replied", position: ANY_LATER_STEP } as const;
const snoozed = { status: "paused", reason: "lead_snoozed" } as const;
const enriched = {
  status: "paused",
  reason: "awaiting_enrichment",
  position: FIRST_STEP,
  due: [-3 * DAY, -1],
} as const;
const approval = {
  status: "paused",
  reason: "awaiting_approval",
  position: FIRST_STEP,
  current: "awaiting_approval",
} as const;

const PAUSED: readonly Story[] = [
  {
    name: "reply waiting",
    share: 60,
    sequences: COLD,
    ...replied,
    due: [-4, -1],
    inbound: [-6 * DAY, -5],
    standing: "qualified",
  },
  {
    name: "answered",
    share: 20,
    sequences: COLD,
    ...replied,
    due: [-4, -1],
    inbound: [-6 * DAY, -5],
    answered: true,
    standing: "meeting-requested",
  },
  {
    name: "ghosted",
    share: 30,
    sequences: COLD,
    ...replied,
    due: [-8 * DAY, -8 * DAY],
    inbound: [-20 * DAY, -8 * DAY],
    answered: true,
    standing: "qualified",
  },
  { name: "snoozed", share: 35, sequences: COLD, ...snoozed, due: [-9 * DAY, -DAY], snoozed: [6, 20 * DAY] },
  {
    name: "snooze over",
    share: 25,
    sequences: COLD,
    ...snoozed,
    due: [-9 * DAY, -3 * DAY],
    snoozed: [-2 * DAY, -0.01],
  },
  {
    name: "enrichment pending",
    share: 20,
    sequences: ["no_response"],
    ...enriched,
    lacks: ["email"],
    enrichment: "pending",
    look: [-2, DAY],
  },
  {
    name: "enrichment completed",
    share: 15,
    sequences: ["no_response"],
    ...enriched,
    enrichment: "completed",
    look: [-2, -0.01],
  },
  {
    name: "enrichment failed",
    share: 8,
    sequences: ["no_response"],
    ...enriched,
    lacks: ["email"],
    enrichment: "failed",
    look: [-2, -0.01],
  },
  { name: "approval waiting", share: 18, sequences: ["manual"], ...approval, due: [-2 * DAY, -1] },
  {
    name: "data missing",
    share: 4,
    workspace: 1,
    sequences: ["needs_company"],
    status: "paused",
    reason: "missing_data",
    due: [-4 * DAY, -1],
    lacks: ["company"],
  },
  {
    name: "paused by hand",
    share: 12,
    sequences: CHASED,
    status: "paused",
    reason: "manual",
    position: ANY_LATER_STEP,
    due: [-9 * DAY, -1],
  },
];

const ENDED: readonly Story[] = [
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

/** What the backstop is for: the lead has booked, and a sequence chases it still. */
const BOOKED_AND_CHASED: readonly Story[] = [
  {
    name: "booked, due",
    share: 22,
    sequences: CHASED,
    status: "active",
    position: ANY_LATER_STEP,
    due: [-12, -0.01],
    booking: "by_hand",
  },
  {
    name: "booked, waiting",
    share: 14,
    sequences: CHASED,
    status: "active",
    position: ANY_LATER_STEP,
    due: [1, 3 * DAY],
    booking: "by_hand",
  },
  {
    name: "booked, retrying",
    share: 5,
    sequences: COLD,
    status: "active",
    position: [2, 2],
    due: [DAY, 3 * DAY],
    latest: "claimed",
    booking: "by_hand",
  },
  {
    name: "booked, replied",
    share: 10,
    sequences: COLD,
    ...replied,
    due: [-4, -1],
    inbound: [-3 * DAY, -5],
    booking: "by_hand",
  },
  {
    name: "booked, snoozed",
    share: 5,
    sequences: COLD,
    ...snoozed,
    due: [-9 * DAY, -DAY],
    snoozed: [6, 9 * DAY],
    booking: "by_hand",
  },
  {
    name: "booked, approval waiting",
    share: 4,
    sequences: ["manual"],
    ...approval,
    due: [-2 * DAY, -1],
    booking: "by_hand",
  },
  {
    name: "booked by calendar",
    share: 20,
    sequences: CHASED,
    status: "active",
    position: ANY_LATER_STEP,
    due: [-6, 2 * DAY],
    booking: "by_calendar",
  },
];

const poison = { share: 0, workspace: 1, status: "active", due: [-2, -0.5] } as const;

/** One lead each, the first ones: rows that the database takes and that a person has to repair. */
const POISON: readonly Story[] = [
  { name: "no such zone", ...poison, sequences: ["no_response"], zone: "Mars/Olympus_Mons" },
  { name: "value missing", ...poison, sequences: ["needs_company"], lacks: ["company"] },
  { name: "template does not close", ...poison, sequences: ["syntax_error"] },
  { name: "filter does not exist", ...poison, sequences: ["unknown_filter"] },
  { name: "sequence without steps", ...poison, sequences: ["empty"] },
  { name: "beyond the last step", ...poison, sequences: ["no_response"], position: [9, 9] },
  { name: "step was sent before", ...poison, sequences: ["no_response"], position: FIRST_STEP, current: "sent" },
];

export const STORIES: readonly Story[] = [
  ...ON_THEIR_WAY,
  ...ABOUT_TO_STOP,
  ...PAUSED,
  ...ENDED,
  ...BOOKED_AND_CHASED,
  ...POISON,
];

/** How many leads have a story of their own. */
export const POISONED_LEADS = POISON.length;
