import { type DueItem, type LeadFacts, type Step, stepFrom } from "./due-item.ts";
import type { Channel, PausedReason, StepCondition } from "./labels.ts";
import { type Message, type Rendered, render } from "./templates.ts";
import { isTimeZone, type ZoneUsed, zoneUsed } from "./time-zone.ts";

export type CompletedReason =
  | "meeting_booked"
  | "blacklisted"
  | "opted_out"
  | "unqualified"
  | "not_interested"
  | "out_of_steps";
export type HoldReason =
  | "workspace_paused"
  | "sequence_inactive"
  | "invalid_time_zone"
  | "unknown_condition"
  | "invalid_template"
  | "unreadable_row"
  | "decision_failed";
export type SkipReason = `condition_${StepCondition}` | `missing_${"email" | "phone"}`;

/** What is to become of a due step, and why. */
export type Decision = Verdict & {
  /** The rule that decided. */
  readonly rule: string;
  /** The rules that were asked before it and did not apply, in their order. */
  readonly passed: readonly string[];
  readonly zone: ZoneUsed;
};

export type Verdict =
  | { readonly kind: "send"; readonly reason: "ready"; readonly step: Step; readonly message: Message }
  | {
      readonly kind: "awaitApproval";
      readonly reason: "needs_approval";
      readonly step: Step;
      readonly message: Message;
    }
  | { readonly kind: "hold"; readonly reason: HoldReason; readonly until: Date; readonly detail?: string }
  | {
      readonly kind: "pause";
      readonly reason: PausedReason;
      readonly lookAgainAt: Date | null;
      readonly detail?: string;
    }
  | { readonly kind: "skip"; readonly reason: SkipReason }
  | { readonly kind: "complete"; readonly reason: CompletedReason };

/** An item as the rules see it: what several of them ask is worked out once. */
interface Case extends DueItem {
  readonly now: Date;
  readonly zone: ZoneUsed;
  readonly step: Step | undefined;
  readonly rendered: () => Rendered;
}

interface Rule {
  readonly name: string;
  /** A verdict where the rule applies, undefined where the case passes. */
  readonly judge: (given: Case) => Verdict | undefined;
}

/** Strongest first: the first rule that applies wins. */
const RULES: readonly Rule[] = [
  { name: "not_booked", judge: booked },
  { name: "may_be_contacted", judge: notToBeContacted },
  { name: "step_left", judge: noStepLeft },
  { name: "workspace_and_sequence_on", judge: switchedOff },
  { name: "automation_on", judge: automationOff },
  { name: "no_reply_waiting", judge: replyWaiting },
  { name: "not_snoozed", judge: snoozed },
  { name: "time_zone_known", judge: timeZoneUnknown },
  { name: "condition_true", judge: conditionFalse },
  { name: "channel_reachable", judge: channelUnreachable },
  { name: "template_complete", judge: templateIncomplete },
  { name: "approved_or_needs_none", judge: approvalNeeded },
  { name: "ready", judge: ready },
];

const ruleNames = RULES.map((rule) => rule.name);
const passedBefore = RULES.map((_, index) => ruleNames.slice(0, index));

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** How long a hold lasts whose end nobody can foresee. */
const RECHECK_MS = 15 * MINUTE_MS;

/** Decides what becomes of a due step. Pure: the same item and instant give the same decision. */
export function decide(item: DueItem, now: Date): Decision {
  const given = caseOf(item, now);
  for (const [index, rule] of RULES.entries()) {
    const verdict = rule.judge(given);
    if (verdict) return { ...verdict, rule: rule.name, passed: passedBefore[index] ?? [], zone: given.zone };
  }
  throw new Error(`no rule decided on instance ${item.instance.id}; the last one always does`);
}

function caseOf(item: DueItem, now: Date): Case {
  const step = stepFrom(item.sequence, item.instance.position);
  let rendered: Rendered | undefined;
  return {
    ...item,
    now,
    zone: zoneUsed(item.lead, item.workspace),
    step,
    rendered: () => {
      rendered ??= render(stepOf({ step }), item.lead, item.workspace);
      return rendered;
    },
  };
}

function booked({ lead, sequence }: Case): Verdict | undefined {
  if (!lead.isBooked || sequence.triggerOn === "meeting_selected") return undefined;
  return { kind: "complete", reason: "meeting_booked" };
}

function notToBeContacted({ lead }: Case): Verdict | undefined {
  if (lead.status === "blacklisted") return { kind: "complete", reason: "blacklisted" };
  if (lead.optedOutAt) return { kind: "complete", reason: "opted_out" };
  if (lead.status === "unqualified") return { kind: "complete", reason: "unqualified" };
  if (lead.status === "not-interested") return { kind: "complete", reason: "not_interested" };
  return undefined;
}

function noStepLeft({ step }: Case): Verdict | undefined {
  return step ? undefined : { kind: "complete", reason: "out_of_steps" };
}

function switchedOff({ workspace, sequence, now }: Case): Verdict | undefined {
  const until = new Date(now.getTime() + RECHECK_MS);
  if (workspace.pausedAt) return { kind: "hold", reason: "workspace_paused", until };
  if (!sequence.active) return { kind: "hold", reason: "sequence_inactive", until };
  return undefined;
}

function automationOff({ lead }: Case): Verdict | undefined {
  return lead.automationEnabled ? undefined : { kind: "pause", reason: "manual", lookAgainAt: null };
}

function replyWaiting({ lead, workspace }: Case): Verdict | undefined {
  const { lastInboundAt, lastOutboundAt } = lead;
  if (!lastInboundAt || (lastOutboundAt && lastOutboundAt >= lastInboundAt)) return undefined;
  const lookAgainAt = new Date(lastInboundAt.getTime() + workspace.ghostedAfterDays * DAY_MS);
  return { kind: "pause", reason: "lead_replied", lookAgainAt };
}

function snoozed({ lead, now }: Case): Verdict | undefined {
  if (!lead.snoozedUntil || lead.snoozedUntil <= now) return undefined;
  return { kind: "pause", reason: "lead_snoozed", lookAgainAt: lead.snoozedUntil };
}

function timeZoneUnknown({ zone: { zone, from }, now }: Case): Verdict | undefined {
  if (isTimeZone(zone)) return undefined;
  return {
    kind: "hold",
    reason: "invalid_time_zone",
    until: repairBy(now),
    detail: `time zone of the ${from}: ${zone}`,
  };
}

const CONDITIONS: Readonly<Record<StepCondition, (lead: LeadFacts) => boolean>> = {
  always: () => true,
  phone_provided: (lead) => isGiven(lead.phone),
  linkedin_connected: (lead) => lead.linkedinConnectedAt !== null,
  no_reply: (lead) => lead.lastInboundAt === null,
};

const isStepCondition = (label: string): label is StepCondition => Object.hasOwn(CONDITIONS, label);

function conditionFalse(given: Case): Verdict | undefined {
  const { condition } = stepOf(given);
  if (!isStepCondition(condition)) {
    return { kind: "hold", reason: "unknown_condition", until: repairBy(given.now), detail: `condition: ${condition}` };
  }
  return CONDITIONS[condition](given.lead) ? undefined : { kind: "skip", reason: `condition_${condition}` };
}

const NEEDED: Readonly<Partial<Record<Channel, "email" | "phone">>> = { email: "email", sms: "phone" };

function channelUnreachable(given: Case): Verdict | undefined {
  const needed = NEEDED[stepOf(given).channel];
  if (!needed || isGiven(given.lead[needed])) return undefined;
  if (given.lead.enrichmentStatus !== "pending") return { kind: "skip", reason: `missing_${needed}` };
  return { kind: "pause", reason: "awaiting_enrichment", lookAgainAt: repairBy(given.now) };
}

function templateIncomplete({ rendered, now }: Case): Verdict | undefined {
  const text = rendered();
  if (text.kind === "missing") {
    return { kind: "pause", reason: "missing_data", lookAgainAt: null, detail: `missing: ${text.names.join(", ")}` };
  }
  if (text.kind === "invalid") {
    return { kind: "hold", reason: "invalid_template", until: repairBy(now), detail: text.fault };
  }
  return undefined;
}

function approvalNeeded(given: Case): Verdict | undefined {
  const step = stepOf(given);
  if (!step.needsApproval) return undefined;
  return { kind: "awaitApproval", reason: "needs_approval", step, message: messageOf(given) };
}

function ready(given: Case): Verdict {
  return { kind: "send", reason: "ready", step: stepOf(given), message: messageOf(given) };
}

function stepOf({ step }: Pick<Case, "step">): Step {
  if (!step) throw new Error("a rule that needs a step was asked before the rule that one is left");
  return step;
}

function messageOf({ rendered }: Case): Message {
  const text = rendered();
  if (text.kind !== "rendered")
    throw new Error("a message was asked for before the rule that the template is complete");
  return text.message;
}

const isGiven = (value: string | null): boolean => value !== null && value.trim() !== "";

/** When a row is looked at again that a person has to repair, or a pause that an event should end. */
export const repairBy = (now: Date): Date => new Date(now.getTime() + DAY_MS);
