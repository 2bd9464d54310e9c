import type {
  EnrichmentStatus,
  InstanceStatus,
  LeadStatus,
  PausedReason,
  TouchStatus,
} from "../../lib/domain/labels.ts";
import type { Chance, Hours } from "./chance.ts";

/** The history of a lead up to now. Each lead gets an instant within each range of hours. */
export interface Story extends Details {
  readonly name: string;
  /** Leads per 1,000 that have this story; 0 if it belongs to a single lead. */
  readonly share: number;
  /** Keys of sequences, of which one is chosen; a repeated key is chosen more often. Empty: not enrolled. */
  readonly sequences: readonly string[];
}

interface Details {
  readonly workspace?: number;
  readonly status?: InstanceStatus;
  /** Why it is paused or complete. */
  readonly reason?: PausedReason | "meeting_booked" | "out_of_steps";
  /** The range of the next step, by default the first. The upper end is limited to the sequence's length. */
  readonly position?: readonly [from: number, to: number];
  /** When the next step is due or was due at the pause, or when the instance ended. */
  readonly due?: Hours;
  /** The status of the next step's touch, if it already has one. */
  readonly current?: TouchStatus;
  /** The status of the touch before it; by default `sent`. */
  readonly latest?: TouchStatus;
  readonly standing?: LeadStatus;
  readonly automation?: false;
  readonly optedOut?: true;
  readonly lacks?: "email" | "company";
  readonly zone?: string;
  readonly enrichment?: EnrichmentStatus;
  readonly inbound?: Hours;
  /** Our message is the latest. */
  readonly answered?: true;
  readonly snoozed?: Hours;
  /** When a pause for enrichment or missing data is rechecked. */
  readonly recheck?: Hours;
  /** Booked by status alone, by an appointment, or by both and already processed; or an appointment that was missed. */
  readonly booking?: "by_hand" | "by_calendar" | "earlier" | "missed";
}

const story = (name: string, share: number, sequences: readonly string[], details: Details = {}): Story => ({
  name,
  share,
  sequences,
  ...details,
});

const DAY = 24;
/** Sequences for a lead who did not ask for a call, the most common one repeated. */
const COLD = ["no_response", "no_response", "no_response", "setter_reply"];
const CHASED = [...COLD, ...COLD, "manual"];

const LATER = { position: [2, 9] } as const;
const ACTIVE = { status: "active" } as const;
const ACTIVE_LATER = { ...ACTIVE, ...LATER } as const;
const ACTIVE_SECOND = { ...ACTIVE, position: [2, 2] } as const;
const REPLIED = { status: "paused", reason: "lead_replied", ...LATER } as const;
const SNOOZED = { status: "paused", reason: "lead_snoozed" } as const;
const APPROVAL = { status: "paused", reason: "awaiting_approval", current: "awaiting_approval" } as const;
const ENRICHED = { status: "paused", reason: "awaiting_enrichment", due: [-3 * DAY, -1] } as const;
const BY_HAND = { booking: "by_hand" } as const;

/** In an active sequence: due now or later. */
const ON_THEIR_WAY: readonly Story[] = [
  story("due first step", 100, CHASED, { ...ACTIVE, due: [-12, -0.01] }),
  story("due later step", 118, CHASED, { ...ACTIVE_LATER, due: [-36, -0.01] }),
  story("due after a failure", 6, COLD, { ...ACTIVE_SECOND, due: [-6, -1], latest: "failed" }),
  story("outcome unknown", 2, COLD, { ...ACTIVE_SECOND, due: [1, DAY], latest: "unknown" }),
  story("sender died", 2, COLD, { ...ACTIVE_SECOND, due: [1, DAY], latest: "sending" }),
  story("just enrolled", 60, COLD, { ...ACTIVE, due: [0.5, DAY], standing: "qualified" }),
  story("waiting", 163, CHASED, { ...ACTIVE_LATER, due: [0.5, 3 * DAY], standing: "qualified" }),
  story("missed the meeting", 8, ["meeting_missed"], { ...ACTIVE, due: [-3, -0.01], booking: "missed" }),
  story("sequence inactive", 6, ["winter_offer"], { ...ACTIVE, workspace: 3, due: [-48, -1] }),
  story("not enrolled", 15, []),
];

/** Due, but blocked by a change that only the next run detects. */
const ABOUT_TO_STOP: readonly Story[] = [
  story("replied, not noticed", 14, COLD, { ...ACTIVE_LATER, due: [-5, -1], inbound: [-9, -5] }),
  story("snoozed, not noticed", 8, COLD, { ...ACTIVE, due: [-5, -1], snoozed: [DAY, 9 * DAY] }),
  story("address to come", 8, ["no_response"], { ...ACTIVE, due: [-5, -1], lacks: "email", enrichment: "pending" }),
  story("no address", 6, ["no_response"], { ...ACTIVE, due: [-5, -1], lacks: "email" }),
  story("automation off", 9, COLD, { ...ACTIVE, due: [-5, -1], automation: false }),
  story("opted out", 10, COLD, { ...ACTIVE_LATER, due: [-5, -1], optedOut: true }),
  story("blacklisted", 5, COLD, { ...ACTIVE, due: [-5, -1], standing: "blacklisted" }),
  story("unqualified", 7, COLD, { ...ACTIVE, due: [-5, -1], standing: "unqualified" }),
  story("not interested", 9, COLD, { ...ACTIVE_LATER, due: [-5, -1], standing: "not-interested" }),
];

/** Paused for every reason. Some can be resumed now, others not yet. */
const PAUSED: readonly Story[] = [
  story("reply waiting", 60, COLD, { ...REPLIED, due: [-4, -1], inbound: [-6 * DAY, -5], standing: "qualified" }),
  story("answered", 20, COLD, {
    ...REPLIED,
    due: [-4, -1],
    inbound: [-6 * DAY, -5],
    answered: true,
    standing: "meeting-requested",
  }),
  story("ghosted", 30, COLD, {
    ...REPLIED,
    due: [-8 * DAY, -8 * DAY],
    inbound: [-20 * DAY, -8 * DAY],
    answered: true,
    standing: "qualified",
  }),
  story("snoozed", 35, COLD, { ...SNOOZED, due: [-9 * DAY, -DAY], snoozed: [6, 20 * DAY] }),
  story("snooze over", 25, COLD, { ...SNOOZED, due: [-9 * DAY, -3 * DAY], snoozed: [-2 * DAY, -0.01] }),
  story("enrichment pending", 20, ["no_response"], {
    ...ENRICHED,
    lacks: "email",
    enrichment: "pending",
    recheck: [-2, DAY],
  }),
  story("enrichment completed", 15, ["no_response"], { ...ENRICHED, enrichment: "completed", recheck: [-2, -0.01] }),
  story("enrichment failed", 8, ["no_response"], {
    ...ENRICHED,
    lacks: "email",
    enrichment: "failed",
    recheck: [-2, -0.01],
  }),
  story("approval waiting", 18, ["manual"], { ...APPROVAL, due: [-2 * DAY, -1] }),
  story("data missing", 4, ["needs_company"], {
    workspace: 3,
    status: "paused",
    reason: "missing_data",
    due: [-4 * DAY, -1],
    recheck: [-2, DAY],
    lacks: "company",
  }),
  story("paused by hand", 12, CHASED, { ...LATER, status: "paused", reason: "manual", due: [-9 * DAY, -1] }),
];

const ENDED: readonly Story[] = [
  story("out of steps", 60, COLD, {
    status: "completed",
    reason: "out_of_steps",
    position: [9, 9],
    due: [-60 * DAY, -1],
  }),
  story("cancelled", 25, CHASED, { ...LATER, status: "cancelled", due: [-30 * DAY, -1] }),
  story("booked earlier", 32, CHASED, {
    ...LATER,
    status: "completed",
    reason: "meeting_booked",
    due: [-9 * DAY, -1],
    booking: "earlier",
  }),
];

/** Work for the backstop: the lead has booked, and a sequence still chases it. */
const BOOKED_AND_CHASED: readonly Story[] = [
  story("booked, due", 22, CHASED, { ...BY_HAND, ...ACTIVE_LATER, due: [-12, -0.01] }),
  story("booked, waiting", 14, CHASED, { ...BY_HAND, ...ACTIVE_LATER, due: [1, 3 * DAY] }),
  story("booked, retrying", 5, COLD, { ...BY_HAND, ...ACTIVE_SECOND, due: [DAY, 3 * DAY], latest: "claimed" }),
  story("booked, replied", 10, COLD, { ...BY_HAND, ...REPLIED, due: [-4, -1], inbound: [-3 * DAY, -5] }),
  story("booked, snoozed", 5, COLD, { ...BY_HAND, ...SNOOZED, due: [-9 * DAY, -DAY], snoozed: [6, 9 * DAY] }),
  story("booked, approval waiting", 4, ["manual"], { ...BY_HAND, ...APPROVAL, due: [-2 * DAY, -1] }),
  story("booked by calendar", 20, CHASED, { ...ACTIVE_LATER, due: [-6, 2 * DAY], booking: "by_calendar" }),
];

const broken = (name: string, sequence: string, details: Details = {}): Story =>
  story(name, 0, [sequence], { ...ACTIVE, workspace: 3, due: [-2, -0.5], ...details });

/** Rows that the database accepts and that a person must repair. Each story belongs to one of the first leads. */
const POISON: readonly Story[] = [
  broken("no such zone", "no_response", { zone: "Mars/Olympus_Mons" }),
  broken("value missing", "needs_company", { lacks: "company" }),
  broken("template does not close", "syntax_error"),
  broken("filter does not exist", "unknown_filter"),
  broken("sequence without steps", "empty"),
  broken("beyond the last step", "no_response", { position: [9, 9] }),
  broken("step was sent before", "no_response", { current: "sent" }),
];

/** Each shared story as often as its share; 1,000 elements. */
const SHARED: readonly Story[] = [...ON_THEIR_WAY, ...ABOUT_TO_STOP, ...PAUSED, ...ENDED, ...BOOKED_AND_CHASED].flatMap(
  (shared) => Array<Story>(shared.share).fill(shared),
);

/** The story of a lead: the first leads have one of their own. */
export const storyOf = (number: number, chance: Chance): Story => POISON[number - 1] ?? chance.of(SHARED);
