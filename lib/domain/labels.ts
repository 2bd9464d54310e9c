import { CHANNEL_REGISTRY } from "./channels.ts";

/** The labels of the database enums. A test compares them with the migrated database. */

export const LEAD_STATUSES = [
  "new",
  "qualified",
  "meeting-requested",
  "meeting-booked",
  "not-interested",
  "unqualified",
  "blacklisted",
] as const;
export type LeadStatus = (typeof LEAD_STATUSES)[number];

export const ENRICHMENT_STATUSES = ["not_requested", "pending", "completed", "failed"] as const;
export type EnrichmentStatus = (typeof ENRICHMENT_STATUSES)[number];

export const SEQUENCE_TRIGGERS = [
  "no_response",
  "meeting_selected",
  "manual",
  "setter_reply",
  "meeting_missed",
] as const;
export type SequenceTrigger = (typeof SEQUENCE_TRIGGERS)[number];

export type Channel = keyof typeof CHANNEL_REGISTRY;
export const CHANNELS = Object.keys(CHANNEL_REGISTRY) as readonly Channel[];

/** A record with one value for each channel. */
export const perChannel = <Value>(of: (channel: Channel) => Value): Readonly<Record<Channel, Value>> =>
  Object.fromEntries(CHANNELS.map((channel) => [channel, of(channel)])) as Record<Channel, Value>;

/** Channels with idempotent delivery. A touch with an unknown outcome may be sent again. */
export const REPEATABLE_CHANNELS = CHANNELS.filter((channel) => CHANNEL_REGISTRY[channel].repeatable);

/** How a person on our side contacts a lead. */
export const CONTACT_CHANNELS = ["email", "call", "sms", "whatsapp", "linkedin", "other"] as const;

export const STEP_CONDITIONS = ["always", "phone_provided", "linkedin_connected", "no_reply"] as const;
export type StepCondition = (typeof STEP_CONDITIONS)[number];

/** Texts that other tools replace or interpret, and Backstop would send as they are. `lib/domain/placeholders.ts` finds them. */
export const PLACEHOLDER_KINDS = [
  "angle_brackets",
  "asterisk_bars",
  "braces",
  "dollar_braces",
  "html",
  "marked_names",
  "percent_signs",
  "spintax",
  "square_brackets",
] as const;
export type PlaceholderKind = (typeof PLACEHOLDER_KINDS)[number];

export const INSTANCE_STATUSES = ["active", "paused", "completed", "cancelled"] as const;
export type InstanceStatus = (typeof INSTANCE_STATUSES)[number];

export const PAUSED_REASONS = [
  "lead_replied",
  "lead_snoozed",
  "awaiting_enrichment",
  "awaiting_approval",
  "missing_data",
  "manual",
] as const;
export type PausedReason = (typeof PAUSED_REASONS)[number];

export const TOUCH_STATUSES = [
  "claimed",
  "sending",
  "sent",
  "failed",
  "unknown",
  "cancelled",
  "awaiting_approval",
  "rejected",
  "expired",
] as const;
export type TouchStatus = (typeof TOUCH_STATUSES)[number];

export const APPOINTMENT_STATUSES = ["confirmed", "cancelled", "missed"] as const;
export type AppointmentStatus = (typeof APPOINTMENT_STATUSES)[number];

/** The events that a digest reports, in their order. */
export const NOTIFICATION_KINDS = [
  "meeting_booked",
  "lead_replied",
  "approval_waiting",
  "touch_failed",
  "touch_unknown",
  "backstop_completed",
  "lead_created",
  "fact_warned",
  "guardrail_paused",
  "connection_failing",
] as const;
export type NotificationKind = (typeof NOTIFICATION_KINDS)[number];

/** Tools with which people book meetings. */
export const BOOKING_TOOLS = ["calendly", "calcom", "gohighlevel"] as const;
export type BookingToolName = (typeof BOOKING_TOOLS)[number];

/** `hot`: meetings that start soon. `warm`: later ones, and those that have started or ended. */
export const SWEEP_WINDOWS = ["hot", "warm"] as const;
export type SweepWindow = (typeof SWEEP_WINDOWS)[number];

/** Why the guardrail paused a workspace. */
export const GUARDRAIL_REASONS = ["bounces", "complaints"] as const;
export type GuardrailReason = (typeof GUARDRAIL_REASONS)[number];

export const ADDRESS_KINDS = ["email", "phone"] as const;
export type AddressKind = (typeof ADDRESS_KINDS)[number];

/** Weakest first: if several apply, the last in this list wins. */
export const SUPPRESSION_REASONS = ["undeliverable", "opted_out", "complained"] as const;
export type SuppressionReason = (typeof SUPPRESSION_REASONS)[number];

/** The lead's address that a channel sends to; null if it needs none. */
export const ADDRESS_OF_CHANNEL = perChannel((channel): AddressKind | null => CHANNEL_REGISTRY[channel].address);

export const DIGEST_CHANNELS = ["email", "webhook"] as const;
export type DigestChannel = (typeof DIGEST_CHANNELS)[number];

export const DIGEST_DELIVERY_STATUSES = ["pending", "sending", "sent", "failed", "unknown", "skipped"] as const;
export type DigestDeliveryStatus = (typeof DIGEST_DELIVERY_STATUSES)[number];
