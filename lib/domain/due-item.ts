import type { SendWindow } from "./calendar.ts";
import type {
  AddressKind,
  Channel,
  EnrichmentStatus,
  LeadStatus,
  SequenceTrigger,
  SuppressionReason,
} from "./labels.ts";

/** All that `decide` may know of one due instance. Instants are `Date`s; nothing here is read from a clock. */
export interface DueItem {
  readonly instance: DueInstance;
  readonly lead: LeadFacts;
  readonly sequence: Sequence;
  readonly workspace: WorkspaceFacts;
}

export interface DueInstance {
  readonly id: string;
  readonly generation: number;
  /** The position of the step that is next; counted from 1. */
  readonly position: number;
  readonly nextStepDue: Date;
  /** When the step was due before its first hold; null where it was never held. */
  readonly heldSince: Date | null;
}

export interface LeadFacts {
  readonly id: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly company: string | null;
  readonly email: string | null;
  readonly phone: string | null;
  readonly linkedinConnectedAt: Date | null;
  readonly timeZone: string | null;
  readonly status: LeadStatus;
  readonly isBooked: boolean;
  readonly automationEnabled: boolean;
  readonly optedOutAt: Date | null;
  /** Why its address or number must not be contacted on any channel. */
  readonly suppressed: Exclude<SuppressionReason, "undeliverable"> | null;
  readonly undeliverable: Readonly<Record<AddressKind, boolean>>;
  readonly snoozedUntil: Date | null;
  readonly lastInboundAt: Date | null;
  readonly lastOutboundAt: Date | null;
  /** When a touch last began to be sent on each channel. */
  readonly lastTouchAt: Readonly<Record<Channel, Date | null>>;
  /** When a touch of another lead last began to be sent to its address or number; null: no other lead has them. */
  readonly twinTouchAt: Readonly<Record<AddressKind, Date | null>> | null;
  readonly enrichmentStatus: EnrichmentStatus;
}

export interface Sequence {
  readonly id: string;
  readonly triggerOn: SequenceTrigger;
  readonly active: boolean;
  /** In the order of their positions, which may have gaps. */
  readonly steps: readonly Step[];
}

export interface Step {
  readonly id: string;
  readonly position: number;
  /** After the step before it; after the start for the first. */
  readonly delayMinutes: number;
  readonly channel: Channel;
  /** A label of `STEP_CONDITIONS`, unless the database is ahead of this code. */
  readonly condition: string;
  readonly subject: string | null;
  readonly body: string;
  readonly needsApproval: boolean;
  /** How long after it was due it may still go; null: for ever. */
  readonly timeToLiveMinutes: number | null;
}

export interface WorkspaceFacts {
  readonly id: string;
  readonly name: string;
  readonly timeZone: string;
  readonly pausedAt: Date | null;
  readonly ghostedAfterDays: number;
  /** Who e-mails come from; `isSender` where it is in order. */
  readonly emailFrom: string;
  readonly sendWindow: SendWindow;
  readonly holidays: HolidayPlace;
  /** The least time between two touches of a lead, in whatever sequences. */
  readonly gapMinutes: number;
  /** The most touches in one local day of the workspace; null: no cap. */
  readonly dailyCap: number | null;
  /** How many of them are used on the local day of the decision. */
  readonly dailyCapUsed: number;
}

/** Whose public holidays are kept, as ISO 3166 codes, and the workspace's own dates, as in `2026-12-24`. */
export interface HolidayPlace {
  readonly country: string | null;
  readonly region: string | null;
  readonly ownDates: readonly string[];
}

/** The step that is next, or undefined where none is left. A deleted step is passed over. */
export const stepFrom = (sequence: Sequence, position: number): Step | undefined =>
  sequence.steps.find((step) => step.position >= position);
