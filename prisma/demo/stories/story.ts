import type {
  EnrichmentStatus,
  InstanceStatus,
  LeadStatus,
  PausedReason,
  TouchStatus,
} from "../../../lib/domain/labels.ts";

/** A range in hours relative to the load; negative is in the past. Each lead gets an instant within it. */
export type Hours = readonly [from: number, to: number];

/** The history of a lead up to now. */
export interface Story {
  readonly name: string;
  /** Leads per 1,000 that have this story; 0 if it belongs to a single lead. */
  readonly share: number;
  readonly workspace?: number;
  /** Keys of sequences, of which one is chosen; a repeated key is chosen more often. Empty: not enrolled. */
  readonly sequences: readonly string[];
  readonly status?: InstanceStatus;
  /** Why it is paused or complete. */
  readonly reason?: PausedReason | "meeting_booked" | "out_of_steps";
  /** The range of the next step. The upper end is limited to the sequence's length, but not below the lower end. */
  readonly position?: readonly [from: number, to: number];
  /** When the next step is due or was due at the pause, or when the instance ended. */
  readonly due?: Hours;
  /** The status of the next step's touch, if it already has one. */
  readonly current?: TouchStatus;
  /** The status of the touch before it; by default `sent`. */
  readonly latest?: TouchStatus;
  readonly standing?: LeadStatus;
  readonly automation?: false;
  readonly refused?: true;
  readonly lacks?: readonly ("email" | "phone" | "company")[];
  readonly zone?: string;
  readonly enrichment?: EnrichmentStatus;
  readonly inbound?: Hours;
  /** Our message is the latest. */
  readonly answered?: true;
  readonly snoozed?: Hours;
  /** When a pause for enrichment is rechecked. */
  readonly look?: Hours;
  /** By status alone, by an appointment, or by both and already processed; or an appointment that was missed. */
  readonly booking?: "by_hand" | "by_calendar" | "earlier" | "missed";
}

export const DAY = 24;
/** Sequences for a lead who did not ask for a call, the most common one repeated. */
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
