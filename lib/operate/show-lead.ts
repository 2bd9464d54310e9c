import * as z from "zod";
import { decide } from "../domain/decide.ts";
import { INSTANCE_STATUSES } from "../domain/labels.ts";
import { blockersOf, outlookOf } from "../domain/outlook.ts";
import { zoneUsed } from "../domain/time-zone.ts";
import type { DueCandidate } from "../run/claim-ports.ts";
import { decisionFault, planBatch } from "../run/plan.ts";
import { eventRow, readLeadState, readLiveInstances, readStory, type ShownInstance } from "../store/stories.ts";
import { foundLead, leadInput, theLead } from "./find-leads.ts";
import { isoInstant, question } from "./operation.ts";

const MAX_EVENTS = 1_000;

const storyEvent = eventRow.extend({ at: isoInstant });

const decision = z.object({
  kind: z.string(),
  rule: z.string(),
  reason: z.string(),
  detail: z.string().nullable(),
  /** When a hold or a pause is decided again; null if only a change ends it. */
  until: isoInstant.nullable(),
  passed: z.array(z.string()),
  /** All rules that stand against the step, the deciding one first. */
  blockers: z.array(z.object({ rule: z.string(), kind: z.string(), reason: z.string() })),
  zone: z.object({ zone: z.string(), from: z.string() }),
  inputs: z.object({
    sendWindow: z.object({ days: z.array(z.int()), start: z.string(), end: z.string() }),
    gapMinutes: z.int(),
    lastOutboundAt: isoInstant.nullable(),
    lastTouchOnChannelAt: isoInstant.nullable(),
    dailyCap: z.int().nullable(),
    dailyCapUsed: z.int(),
  }),
  /** If nothing else happens: when the step goes, or why it does not. */
  outlook: z.discriminatedUnion("goes", [
    z.object({ goes: z.literal("at"), at: isoInstant, needsApproval: z.boolean() }),
    z.object({ goes: z.literal("not"), rule: z.string(), reason: z.string() }),
  ]),
});

const liveInstance = z.object({
  instanceId: z.guid(),
  sequence: z.string(),
  status: z.enum(INSTANCE_STATUSES),
  why: z.string().nullable(),
  position: z.int(),
  generation: z.int(),
  nextStepDue: isoInstant.nullable(),
  /** The decision if the step were due now; the fault if its rows are unreadable. */
  now: z.discriminatedUnion("readable", [
    z.object({ readable: z.literal(true), decision }),
    z.object({ readable: z.literal(false), fault: z.string() }),
  ]),
});

/** `leads show`: what happened to a lead, in order, and what is decided now for each live sequence. */
export const showLead = question({
  name: "leads show",
  summary: "Shows what happened to a lead, and what goes next or why nothing does.",
  input: leadInput,
  answer: z.object({
    lead: foundLead,
    zone: z.object({ zone: z.string(), from: z.string() }),
    state: z.object({
      isBooked: z.boolean(),
      bookedAt: isoInstant.nullable(),
      missedAt: isoInstant.nullable(),
      bookedUntil: isoInstant.nullable(),
      automationEnabled: z.boolean(),
      optedOutAt: isoInstant.nullable(),
      snoozedUntil: isoInstant.nullable(),
      suppressedReason: z.string().nullable(),
      emailUndeliverable: z.boolean(),
      phoneUndeliverable: z.boolean(),
      lastInboundAt: isoInstant.nullable(),
      lastOutboundAt: isoInstant.nullable(),
    }),
    /** The latest 1,000 events, the oldest first. */
    story: z.array(storyEvent),
    instances: z.array(liveInstance),
    askedAt: isoInstant,
  }),
  async run(db, input, now) {
    const lead = await theLead(db, input);
    const { timeZone, workspaceTimeZone, ...state } = await readLeadState(db, lead.id);
    const instances = await readLiveInstances(db, lead.id, now);
    return {
      lead,
      zone: zoneUsed({ timeZone }, { timeZone: workspaceTimeZone }),
      state,
      story: await readStory(db, lead.id, MAX_EVENTS),
      instances: instances.map((instance) => answerOf(instance, now)),
      askedAt: now,
    };
  },
});

function answerOf({ candidate, sequenceName, instanceStatus, why, due, generation }: ShownInstance, now: Date) {
  const { instanceId } = candidate;
  return {
    instanceId,
    sequence: sequenceName,
    status: instanceStatus,
    why,
    position: candidate.position,
    generation,
    nextStepDue: due,
    now: nowOf(candidate, now),
  };
}

/** A row that a run cannot decide is shown with its fault, and hides no other. */
function nowOf(candidate: DueCandidate, now: Date): z.output<typeof liveInstance>["now"] {
  const [plan] = planBatch([candidate], now).plans;
  if (!plan || "fault" in candidate.read || plan.decision.reason === "decision_failed") {
    const detail = plan && "detail" in plan.decision ? plan.decision.detail : undefined;
    return { readable: false, fault: detail ?? "no rule decided" };
  }
  try {
    return { readable: true, decision: decisionOf(candidate.read.item, now) };
  } catch (thrown) {
    return { readable: false, fault: decisionFault(thrown) };
  }
}

function decisionOf(item: Parameters<typeof decide>[0], now: Date): z.output<typeof decision> {
  const decided = decide(item, now);
  const { kind, rule, reason, passed, zone, inputs } = decided;
  const { days, start, end } = inputs.sendWindow;
  return {
    kind,
    rule,
    reason,
    detail: ("detail" in decided && decided.detail) || null,
    until: "until" in decided ? decided.until : "recheckAt" in decided ? decided.recheckAt : null,
    passed: [...passed],
    blockers: [...blockersOf(item, now)],
    zone,
    inputs: { ...inputs, sendWindow: { days: [...days], start, end } },
    outlook: outlookOf(item, now),
  };
}
