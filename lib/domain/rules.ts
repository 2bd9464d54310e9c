import { addressToSend, numberToSend } from "./address.ts";
import { CHANNEL_REGISTRY } from "./channels.ts";
import type { ContactBar, SkipReason, StatusBar, Verdict } from "./decision.ts";
import type { LeadFacts } from "./due-item.ts";
import { pauseCause } from "./guardrail.ts";
import { ADDRESS_OF_CHANNEL, type AddressKind, LEAD_STATUSES, type LeadStatus, type StepCondition } from "./labels.ts";
import { isGiven } from "./lead-columns.ts";
import { factsOf, type RuleContext, stepOf } from "./rule-context.ts";
import { capDayEnd, channelUsedToday, earliestSend, shutNow, tooSoon } from "./send-times.ts";
import { ownSenderFault } from "./sender.ts";
import { daysAfter, isTimeZone, minutesAfter, recheckSoon, repairBy } from "./time-zone.ts";

export function booked({ lead, sequence }: Pick<RuleContext, "lead" | "sequence">): Verdict | undefined {
  if (!lead.isBooked || sequence.triggerOn === "meeting_selected") return undefined;
  return { kind: "complete", reason: "meeting_booked" };
}

/** The reason that bars contact in each status; null if the status does not. The reason is the status in snake case. */
const BAR_OF_STATUS: Readonly<Record<LeadStatus, StatusBar | null>> = {
  new: null,
  qualified: null,
  "meeting-requested": null,
  "meeting-booked": null,
  "not-interested": "not_interested",
  unqualified: "unqualified",
  blacklisted: "blacklisted",
};

const isLeadStatus = (label: string): label is LeadStatus => Object.hasOwn(BAR_OF_STATUS, label);

export const BARRING_STATUSES = LEAD_STATUSES.filter((status) => BAR_OF_STATUS[status] !== null);

interface ContactFacts {
  readonly suppressed: LeadFacts["suppressed"];
  readonly optedOutAt: Date | null;
  /** A label of `LEAD_STATUSES`, or an unknown one if the database is newer than this code. */
  readonly status: string;
}

/** Why the lead may not be contacted; undefined if it may. `CONTACT_BAR` in lib/store is the same rule in SQL. */
export function contactBar({ suppressed, optedOutAt, status }: ContactFacts): ContactBar | undefined {
  if (suppressed) return suppressed;
  if (optedOutAt) return "opted_out";
  return (isLeadStatus(status) && BAR_OF_STATUS[status]) || undefined;
}

/** Whether a sequence may start for the lead. Strict: never in an unknown status. */
export const mayBeContacted = (lead: ContactFacts): boolean =>
  contactBar(lead) === undefined && isLeadStatus(lead.status);

export function notToBeContacted({ lead }: RuleContext): Verdict | undefined {
  const reason = contactBar(lead);
  return reason && { kind: "complete", reason };
}

export function noStepLeft({ step }: RuleContext): Verdict | undefined {
  return step ? undefined : { kind: "complete", reason: "out_of_steps" };
}

export function switchedOff({ workspace, sequence, now }: RuleContext): Verdict | undefined {
  const until = recheckSoon(now);
  if (workspace.pausedAt) {
    const cause = pauseCause(workspace.pausedReason);
    const detail = cause && `${cause}; workspaces resume ends the pause`;
    return { kind: "hold", reason: "workspace_paused", until, ...(detail && { detail }) };
  }
  if (!sequence.active) return { kind: "hold", reason: "sequence_inactive", until };
  return undefined;
}

export function automationOff({ lead, now }: RuleContext): Verdict | undefined {
  return lead.automationEnabled ? undefined : { kind: "pause", reason: "manual", recheckAt: repairBy(now) };
}

export function replyWaiting({ lead, workspace }: RuleContext): Verdict | undefined {
  const { lastInboundAt, lastOutboundAt } = lead;
  if (!lastInboundAt || (lastOutboundAt && lastOutboundAt >= lastInboundAt)) return undefined;
  const recheckAt = daysAfter(lastInboundAt, workspace.ghostedAfterDays);
  return { kind: "pause", reason: "lead_replied", recheckAt };
}

export function snoozed({ lead, now }: RuleContext): Verdict | undefined {
  if (!lead.snoozedUntil || lead.snoozedUntil <= now) return undefined;
  return { kind: "pause", reason: "lead_snoozed", recheckAt: lead.snoozedUntil };
}

/** Database constraints reject most invalid senders. One hold for the rest avoids a failure per mail. */
export function senderInvalid(given: RuleContext): Verdict | undefined {
  if (!CHANNEL_REGISTRY[stepOf(given).channel].isMail) return undefined;
  const detail = senderFault(given);
  return detail === undefined
    ? undefined
    : { kind: "hold", reason: "invalid_sender", until: repairBy(given.now), detail };
}

function senderFault({ lead, workspace }: RuleContext): string | undefined {
  const own = ownSenderFault(lead);
  if (own !== undefined) return `lead ${lead.id}: ${own}`;
  if (workspace.hasSender || isGiven(lead.senderEmail)) return undefined;
  return `workspace ${workspace.id}: email_from is not exactly one address`;
}

const CONDITIONS: Readonly<Record<StepCondition, (lead: LeadFacts) => boolean>> = {
  always: () => true,
  phone_provided: (lead) => isGiven(lead.phone),
  linkedin_connected: (lead) => lead.linkedinConnectedAt !== null,
  no_reply: (lead) => lead.lastInboundAt === null,
};

const isStepCondition = (label: string): label is StepCondition => Object.hasOwn(CONDITIONS, label);

export function conditionFalse(given: RuleContext): Verdict | undefined {
  const { condition } = stepOf(given);
  if (!isStepCondition(condition)) {
    return { kind: "hold", reason: "unknown_condition", until: repairBy(given.now), detail: `condition: ${condition}` };
  }
  return CONDITIONS[condition](given.lead) ? undefined : { kind: "skip", reason: `condition_${condition}` };
}

export function channelUnreachable(given: RuleContext): Verdict | undefined {
  const { lead, now } = given;
  const needed = ADDRESS_OF_CHANNEL[stepOf(given).channel];
  const fault = needed && addressFault(lead, needed);
  if (!fault) return undefined;
  if (lead.enrichmentStatus !== "pending") return { kind: "skip", reason: fault };
  return { kind: "pause", reason: "awaiting_enrichment", recheckAt: repairBy(now) };
}

function addressFault(lead: LeadFacts, kind: AddressKind): SkipReason | undefined {
  const stored = lead[kind];
  if (!isGiven(stored)) return `missing_${kind}`;
  return lead.undeliverable[kind] || TO_SEND[kind](stored) === undefined ? "undeliverable_address" : undefined;
}

const TO_SEND = { email: addressToSend, phone: numberToSend };

export function tooOld(given: RuleContext): Verdict | undefined {
  const end = expiryOf(given);
  return end && end <= given.now ? { kind: "expire", reason: "time_to_live_over" } : undefined;
}

/** The end of the time to live, counted from the due time before any hold. Null means no limit. */
export function expiryOf(given: RuleContext): Date | null {
  const { timeToLiveMinutes } = stepOf(given);
  const { heldSince, nextStepDue } = given.instance;
  return timeToLiveMinutes === null ? null : minutesAfter(heldSince ?? nextStepDue, timeToLiveMinutes);
}

export function sendTimesUnknown(given: RuleContext): Verdict | undefined {
  const { zone, from } = given.zone;
  const until = repairBy(given.now);
  if (!isTimeZone(zone)) {
    const row = from === "lead" ? given.lead : given.workspace;
    return {
      kind: "hold",
      reason: "invalid_time_zone",
      until,
      detail: `${from} ${row.id}: time_zone is not a time zone`,
    };
  }
  try {
    if (given.opening()) return undefined;
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    return {
      kind: "hold",
      reason: "invalid_send_times",
      until,
      detail: `workspace ${given.workspace.id}: ${thrown.message}`,
    };
  }
  return {
    kind: "hold",
    reason: "no_opening",
    until,
    detail: `workspace ${given.workspace.id}: the send window does not open within a year`,
  };
}

export function windowShut(given: RuleContext): Verdict | undefined {
  if (given.opening()?.from === given.now) return undefined;
  const reason = shutNow(factsOf(given), given.now);
  return reason && { kind: "hold", reason, until: nextSend(given) };
}

export function gapNotOver(given: RuleContext): Verdict | undefined {
  if (!tooSoon(factsOf(given), given.now)) return undefined;
  return { kind: "hold", reason: "too_soon", until: nextSend(given) };
}

export function channelUsed(given: RuleContext): Verdict | undefined {
  if (!channelUsedToday(factsOf(given), given.now)) return undefined;
  return { kind: "hold", reason: "channel_used_today", until: nextSend(given) };
}

/**
 * The rest of a cap goes to the steps that have waited longest, in any zone. A step for which older ones leave nothing
 * is decided again once these had their turn: one that did not go leaves its place.
 */
export function capReached(given: RuleContext): Verdict | undefined {
  const { dailyCap, dailyCapUsed, timeZone } = given.workspace;
  if (dailyCap === null) return undefined;
  const left = Math.max(0, dailyCap - dailyCapUsed);
  const { ahead } = given.instance;
  if ((ahead?.steps ?? 0) < left) return undefined;
  const dayEnd = capDayEnd(timeZone, given.now);
  if (left === 0 || !ahead) return { kind: "hold", reason: "daily_cap_reached", until: nextSend(given, dayEnd) };
  const afterThem = Math.min(dayEnd.getTime(), Math.max(ahead.until.getTime(), recheckSoon(given.now).getTime()));
  return {
    kind: "hold",
    reason: "daily_cap_reached",
    until: nextSend(given, new Date(afterThem)),
    detail: `steps that have waited longer: ${ahead.steps}, left of the cap: ${left}`,
  };
}

/** The earliest send time from `from` on that passes all time rules, as far as known now. */
const nextSend = (given: RuleContext, from?: Date): Date =>
  (from ? earliestSend(factsOf(given), from) : given.opening())?.from ?? repairBy(given.now);
