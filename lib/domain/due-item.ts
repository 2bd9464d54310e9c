import type { SendWindow } from "./calendar.ts";
import type {
  AddressKind,
  Channel,
  EnrichmentStatus,
  LeadStatus,
  SequenceTrigger,
  SuppressionReason,
} from "./labels.ts";
import type { TemplateLead } from "./lead-columns.ts";
import type { SlotFacts } from "./offered-slots.ts";

/** Everything that `decide` reads about one due instance. Nothing here comes from a clock. */
export interface DueItem {
  readonly instance: DueInstance;
  readonly lead: LeadFacts;
  readonly sequence: Sequence;
  readonly workspace: WorkspaceFacts;
  /**
   * The inputs for the times that the next text offers; absent if it offers none. `assumed`: some will be free. A
   * forecast cannot know more.
   */
  readonly slots?: SlotFacts | "assumed";
}

interface DueInstance {
  readonly id: string;
  readonly generation: number;
  /** The position of the next step, from 1. */
  readonly position: number;
  readonly nextStepDue: Date;
  /** When the step was due before its first hold; null if it was never held. */
  readonly heldSince: Date | null;
  /** Older steps that wait and may still use the cap of the workspace today; absent where there is none, or no cap. */
  readonly ahead?: AheadForCap | undefined;
}

export interface AheadForCap {
  readonly steps: number;
  /** When the last of them is decided again; never after the day of the cap. */
  readonly until: Date;
}

export interface LeadFacts extends TemplateLead {
  readonly id: string;
  readonly linkedinConnectedAt: Date | null;
  readonly timeZone: string | null;
  readonly status: LeadStatus;
  readonly isBooked: boolean;
  readonly automationEnabled: boolean;
  readonly optedOutAt: Date | null;
  /** Why the address or number must not be contacted on any channel. */
  readonly suppressed: Exclude<SuppressionReason, "undeliverable"> | null;
  readonly undeliverable: Readonly<Record<AddressKind, boolean>>;
  readonly snoozedUntil: Date | null;
  readonly lastInboundAt: Date | null;
  readonly lastOutboundAt: Date | null;
  /** When a person on our side last wrote or called. */
  readonly lastContactedAt: Date | null;
  /** When sending of a touch last started, per channel. */
  readonly lastTouchAt: Readonly<Record<Channel, Date | null>>;
  /** When sending to the same address or number last started for another lead; null if no other lead shares them. */
  readonly twinTouchAt: Readonly<Record<AddressKind, Date | null>> | null;
  readonly enrichmentStatus: EnrichmentStatus;
}

export interface Sequence {
  readonly id: string;
  readonly triggerOn: SequenceTrigger;
  readonly active: boolean;
  /** Ordered by position; positions may have gaps. */
  readonly steps: readonly Step[];
}

export interface Step {
  readonly id: string;
  readonly position: number;
  /** After the previous step, or after the start for the first step. */
  readonly delayMinutes: number;
  readonly channel: Channel;
  /** A label of `STEP_CONDITIONS`, or an unknown one if the database is newer than this code. */
  readonly condition: string;
  readonly subject: string | null;
  readonly body: string;
  /** Placeholders that the texts send as they are: labels of `PLACEHOLDER_KINDS`, or unknown ones of a newer database. */
  readonly allow: readonly string[];
  readonly needsApproval: boolean;
  /** How long after its due time the step may still be sent; null means no limit. */
  readonly timeToLiveMinutes: number | null;
}

export interface WorkspaceFacts {
  readonly id: string;
  readonly name: string;
  readonly timeZone: string;
  readonly pausedAt: Date | null;
  /** A label of `GUARDRAIL_REASONS`, or an unknown one of a newer database; null while paused: a person paused it. */
  readonly pausedReason: string | null;
  readonly ghostedAfterDays: number;
  /** Whether `email_from` is a valid sender (`isSender`). */
  readonly hasSender: boolean;
  readonly sendWindow: SendWindow;
  readonly holidays: HolidayPlace;
  /** The minimum time between two touches of a lead, across all sequences. */
  readonly gapMinutes: number;
  /** The maximum number of touches per local day of the workspace; null means no cap. */
  readonly dailyCap: number | null;
  /** Touches that count towards the cap on the local day of the decision. */
  readonly dailyCapUsed: number;
}

/** The country and region of public holidays (ISO 3166 codes), and the workspace's own dates such as `2026-12-24`. */
export interface HolidayPlace {
  readonly country: string | null;
  readonly region: string | null;
  readonly ownDates: readonly string[];
  /** Dates that are no holidays here, although they are in the country. */
  readonly workingDates: readonly string[];
}

/** The steps at or after the position, in order; deleted steps are skipped. */
export const stepsFrom = (sequence: Sequence, position: number): readonly Step[] =>
  sequence.steps.filter((step) => step.position >= position);

/** The first of `stepsFrom`. Undefined if none is left. */
export const stepFrom = (sequence: Sequence, position: number): Step | undefined =>
  sequence.steps.find((step) => step.position >= position);
