import type { DueItem, LeadFacts, Step } from "../../lib/domain/due-item.ts";
import { perChannel } from "../../lib/domain/labels.ts";

export const NOON = new Date("2026-06-03T12:00:00.000Z");
export const minutesAfter = (instant: Date, minutes: number): Date => new Date(instant.getTime() + minutes * 60_000);

export const ALWAYS_OPEN = { days: [1, 2, 3, 4, 5, 6, 7], start: "00:00", end: "24:00" };

export const aLead = (over: Partial<LeadFacts> = {}): LeadFacts => ({
  id: "lead",
  firstName: "Ada",
  lastName: "Byron",
  company: "Analytical Engines",
  email: "ada@example.com",
  phone: "+1-555-0100",
  senderName: "Hana Weber",
  senderEmail: "hana@northwind.example",
  replyTo: "hana.replies@northwind.example",
  fields: {},
  linkedinConnectedAt: null,
  timeZone: null,
  status: "qualified",
  isBooked: false,
  automationEnabled: true,
  optedOutAt: null,
  suppressed: null,
  undeliverable: { email: false, phone: false },
  snoozedUntil: null,
  lastInboundAt: null,
  lastOutboundAt: null,
  lastContactedAt: null,
  lastTouchAt: perChannel(() => null),
  twinTouchAt: null,
  enrichmentStatus: "not_requested",
  ...over,
});

export const aStep = (over: Partial<Step> = {}): Step => ({
  id: `step ${over.position ?? 1}`,
  position: 1,
  delayMinutes: 0,
  channel: "email",
  condition: "always",
  subject: "Hello {{ lead.first_name }}",
  body: "Shall we talk, {{ lead.first_name }}?",
  allow: [],
  needsApproval: false,
  timeToLiveMinutes: null,
  ...over,
});

export interface ItemParts {
  readonly lead?: Partial<LeadFacts>;
  readonly steps?: readonly Step[];
  readonly instance?: Partial<DueItem["instance"]>;
  readonly sequence?: Partial<DueItem["sequence"]>;
  readonly workspace?: Partial<DueItem["workspace"]>;
  readonly slots?: NonNullable<DueItem["slots"]>;
}

/** A due item that is ready to send, except for the given parts. */
export const anItem = ({ lead, steps, instance, sequence, workspace, slots }: ItemParts = {}): DueItem => ({
  ...(slots && { slots }),
  instance: { id: "instance", generation: 1, position: 1, nextStepDue: NOON, heldSince: null, ...instance },
  lead: aLead(lead),
  sequence: {
    id: "sequence",
    triggerOn: "no_response",
    active: true,
    steps: steps ?? [aStep(), aStep({ position: 2, delayMinutes: 3 * 24 * 60 })],
    ...sequence,
  },
  workspace: {
    id: "workspace",
    name: "Northwind",
    timeZone: "Europe/Berlin",
    pausedAt: null,
    pausedReason: null,
    ghostedAfterDays: 7,
    hasSender: true,
    sendWindow: ALWAYS_OPEN,
    holidays: { country: null, region: null, ownDates: [], workingDates: [] },
    gapMinutes: 0,
    dailyCap: null,
    dailyCapUsed: 0,
    ...workspace,
  },
});
