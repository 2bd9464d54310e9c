import type { Decision, Verdict } from "./decision.ts";
import type { DueItem } from "./due-item.ts";
import { contextOf, type Evaluate, messageOf, type RuleContext, stepOf } from "./rule-context.ts";
import {
  automationOff,
  booked,
  capReached,
  channelUnreachable,
  channelUsed,
  conditionFalse,
  expiryOf,
  gapNotOver,
  noStepLeft,
  notToBeContacted,
  replyWaiting,
  senderInvalid,
  sendTimesUnknown,
  snoozed,
  switchedOff,
  tooOld,
  windowShut,
} from "./rules.ts";
import { lastOnChannelAt, lastReachedAt } from "./send-times.ts";
import { recheckSoon, repairBy } from "./time-zone.ts";

interface Rule {
  readonly name: string;
  /** The condition that holds when a step passes the rule. */
  readonly says: string;
  readonly evaluate: Evaluate;
}

/** In order of priority: the first rule that applies decides. */
export const RULES: readonly Rule[] = [
  { name: "not_booked", says: "The lead has not booked, or the sequence prepares a meeting.", evaluate: booked },
  { name: "may_be_contacted", says: "The lead may be contacted.", evaluate: notToBeContacted },
  { name: "step_left", says: "A step is left.", evaluate: noStepLeft },
  { name: "workspace_and_sequence_on", says: "Workspace and sequence are switched on.", evaluate: switchedOff },
  { name: "automation_on", says: "Automation is on for the lead.", evaluate: automationOff },
  { name: "no_reply_waiting", says: "No reply of the lead waits for an answer.", evaluate: replyWaiting },
  { name: "not_snoozed", says: "The lead is not snoozed.", evaluate: snoozed },
  { name: "send_times_known", says: "Time zone, send window and holidays are valid.", evaluate: sendTimesUnknown },
  { name: "sender_known", says: "The e-mail has a valid sender.", evaluate: senderInvalid },
  { name: "condition_true", says: "The condition of the step is true.", evaluate: conditionFalse },
  { name: "channel_reachable", says: "The lead has one usable address for the channel.", evaluate: channelUnreachable },
  { name: "still_fresh", says: "The step is younger than its time to live.", evaluate: tooOld },
  { name: "window_open", says: "The send window is open where the lead lives.", evaluate: windowShut },
  {
    name: "gap_kept",
    says: "The last touch of the lead, or to its address, was long enough ago.",
    evaluate: gapNotOver,
  },
  {
    name: "channel_unused_today",
    says: "The channel has not reached the lead or its address today.",
    evaluate: channelUsed,
  },
  { name: "below_daily_cap", says: "The workspace is below its cap for the day.", evaluate: capReached },
  { name: "template_complete", says: "The template has all its values.", evaluate: templateIncomplete },
  { name: "times_to_offer", says: "The times that the text offers are free.", evaluate: nothingToOffer },
  { name: "approved_or_needs_none", says: "The step needs no approval.", evaluate: approvalNeeded },
  { name: "ready", says: "Nothing stands against it.", evaluate: ready },
];

const ruleNames = RULES.map((rule) => rule.name);
const passedBefore = RULES.map((_, index) => ruleNames.slice(0, index));

/** Decides what to do with a due step. Pure: the same item and instant give the same decision. */
export function decide(item: DueItem, now: Date): Decision {
  const given = contextOf(item, now);
  let passed = 0;
  for (const rule of RULES) {
    const verdict = rule.evaluate(given);
    if (verdict) {
      return {
        ...verdict,
        rule: rule.name,
        passed: passedBefore[passed] ?? [],
        zone: given.zone,
        inputs: inputsOf(given),
      };
    }
    passed += 1;
  }
  throw new Error(`no rule decided instance ${item.instance.id}; the last rule always decides`);
}

/**
 * The names of the values that the next step lacks, as in `lead.company`. Empty if it has them all, or needs none because
 * it will not be sent.
 */
export function missingValues(item: DueItem, now: Date): readonly string[] {
  const given = contextOf(item, now);
  if ([noStepLeft, conditionFalse, channelUnreachable].some((rule) => rule(given) !== undefined)) return [];
  const text = given.rendered();
  return text.kind === "missing" ? text.names : [];
}

const inputsOf = ({ step, lead, workspace }: RuleContext): Decision["inputs"] => ({
  sendWindow: workspace.sendWindow,
  gapMinutes: workspace.gapMinutes,
  lastOutboundAt: step ? lastReachedAt(lead, step.channel) : lead.lastOutboundAt,
  lastTouchOnChannelAt: step ? lastOnChannelAt(lead, step.channel) : null,
  dailyCap: workspace.dailyCap,
  dailyCapUsed: workspace.dailyCapUsed,
});

function templateIncomplete({ rendered, now }: RuleContext): Verdict | undefined {
  const text = rendered();
  if (text.kind === "missing") {
    const detail = `missing: ${text.names.join(", ")}`;
    return { kind: "pause", reason: "missing_data", recheckAt: repairBy(now), detail };
  }
  if (text.kind === "invalid") {
    return { kind: "hold", reason: "invalid_template", until: repairBy(now), detail: text.fault };
  }
  return undefined;
}

function nothingToOffer({ offer, now }: RuleContext): Verdict | undefined {
  const times = offer();
  return typeof times === "string" ? { kind: "hold", reason: times, until: recheckSoon(now) } : undefined;
}

function approvalNeeded(given: RuleContext): Verdict | undefined {
  const step = stepOf(given);
  if (!step.needsApproval) return undefined;
  const expiresAt = expiryOf(given);
  return { kind: "awaitApproval", reason: "needs_approval", step, ...messageOf(given), expiresAt };
}

function ready(given: RuleContext): Verdict {
  const opening = given.opening();
  if (!opening) throw new Error("a send was decided before the rule send_times_known ran");
  return {
    kind: "send",
    reason: "ready",
    step: stepOf(given),
    ...messageOf(given),
    sendUntil: opening.until,
    expiresAt: expiryOf(given),
  };
}
