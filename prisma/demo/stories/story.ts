import type {
  EnrichmentStatus,
  InstanceStatus,
  LeadStatus,
  PausedReason,
  TouchStatus,
} from "../../../lib/domain/labels.ts";

/** Hours from the moment of loading; what is past is negative. A moment between the two is chosen for each lead. */
export type Hours = readonly [from: number, to: number];

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

export const DAY = 24;
/** Sequences for a lead who has not asked to be called, the commonest more often than the others. */
export const COLD = ["no_response", "no_response", "no_response", "setter_reply"] as const;
export const CHASED = [...COLD, ...COLD, "manual"] as const;
export const ANY_LATER_STEP = [2, 9] as const;
export const FIRST_STEP = [1, 1] as const;

/** The pauses that several stories share. */
export const REPLIED = { status: "paused", reason: "lead_replied", position: ANY_LATER_STEP } as const;
export const SNOOZED = { status: "paused", reason: "lead_snoozed" } as const;
export const APPROVAL = {
  status: "paused",
  reason: "awaiting_approval",
  position: FIRST_STEP,
  current: "awaiting_approval",
} as const;
