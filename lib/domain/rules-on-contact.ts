import { type Case, stepOf } from "./case.ts";
import type { Verdict } from "./decision.ts";
import type { LeadFacts } from "./due-item.ts";
import type { Channel, StepCondition } from "./labels.ts";
import { daysAfter, recheckSoon, repairBy } from "./recheck-times.ts";

export function booked({ lead, sequence }: Case): Verdict | undefined {
  if (!lead.isBooked || sequence.triggerOn === "meeting_selected") return undefined;
  return { kind: "complete", reason: "meeting_booked" };
}

export function notToBeContacted({ lead }: Case): Verdict | undefined {
  if (lead.status === "blacklisted") return { kind: "complete", reason: "blacklisted" };
  if (lead.optedOutAt) return { kind: "complete", reason: "opted_out" };
  if (lead.status === "unqualified") return { kind: "complete", reason: "unqualified" };
  if (lead.status === "not-interested") return { kind: "complete", reason: "not_interested" };
  return undefined;
}

export function noStepLeft({ step }: Case): Verdict | undefined {
  return step ? undefined : { kind: "complete", reason: "out_of_steps" };
}

export function switchedOff({ workspace, sequence, now }: Case): Verdict | undefined {
  const until = recheckSoon(now);
  if (workspace.pausedAt) return { kind: "hold", reason: "workspace_paused", until };
  if (!sequence.active) return { kind: "hold", reason: "sequence_inactive", until };
  return undefined;
}

export function automationOff({ lead }: Case): Verdict | undefined {
  return lead.automationEnabled ? undefined : { kind: "pause", reason: "manual", recheckAt: null };
}

export function replyWaiting({ lead, workspace }: Case): Verdict | undefined {
  const { lastInboundAt, lastOutboundAt } = lead;
  if (!lastInboundAt || (lastOutboundAt && lastOutboundAt >= lastInboundAt)) return undefined;
  const recheckAt = daysAfter(lastInboundAt, workspace.ghostedAfterDays);
  return { kind: "pause", reason: "lead_replied", recheckAt };
}

export function snoozed({ lead, now }: Case): Verdict | undefined {
  if (!lead.snoozedUntil || lead.snoozedUntil <= now) return undefined;
  return { kind: "pause", reason: "lead_snoozed", recheckAt: lead.snoozedUntil };
}

const CONDITIONS: Readonly<Record<StepCondition, (lead: LeadFacts) => boolean>> = {
  always: () => true,
  phone_provided: (lead) => isGiven(lead.phone),
  linkedin_connected: (lead) => lead.linkedinConnectedAt !== null,
  no_reply: (lead) => lead.lastInboundAt === null,
};

const isStepCondition = (label: string): label is StepCondition => Object.hasOwn(CONDITIONS, label);

export function conditionFalse(given: Case): Verdict | undefined {
  const { condition } = stepOf(given);
  if (!isStepCondition(condition)) {
    return { kind: "hold", reason: "unknown_condition", until: repairBy(given.now), detail: `condition: ${condition}` };
  }
  return CONDITIONS[condition](given.lead) ? undefined : { kind: "skip", reason: `condition_${condition}` };
}

const NEEDED: Readonly<Partial<Record<Channel, "email" | "phone">>> = { email: "email", sms: "phone" };

export function channelUnreachable(given: Case): Verdict | undefined {
  const needed = NEEDED[stepOf(given).channel];
  if (!needed || isGiven(given.lead[needed])) return undefined;
  if (given.lead.enrichmentStatus !== "pending") return { kind: "skip", reason: `missing_${needed}` };
  return { kind: "pause", reason: "awaiting_enrichment", recheckAt: repairBy(given.now) };
}

const isGiven = (value: string | null): boolean => value !== null && value.trim() !== "";
