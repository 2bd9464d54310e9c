import { normaliseEmail, normalisePhone } from "../domain/address.ts";
import { decide } from "../domain/decide.ts";
import type { Decision } from "../domain/decision.ts";
import type { DueItem, LeadFacts, WorkspaceFacts } from "../domain/due-item.ts";
import { ADDRESS_OF_CHANNEL, type Channel } from "../domain/labels.ts";
import { type InstanceState, nextState } from "../domain/next-state.ts";
import { repairBy } from "../domain/recheck-times.ts";
import { lastReachedAt } from "../domain/send-times.ts";
import type { DueCandidate, Plan } from "./ports.ts";

/** A plan with its decision, which the report needs. */
export interface DecidedPlan extends Plan {
  readonly position: number;
  readonly decision: Told;
}

/** The reported part of a decision. */
export type Told = Pick<Decision, "kind" | "reason" | "rule"> & {
  readonly detail?: string | undefined;
  readonly until?: Date | undefined;
};

export type Planner = (candidate: DueCandidate) => DecidedPlan;

/** A sendable step whose channel has no room in this run; it stays due. */
export interface LeftDue {
  readonly leftOn: Channel;
}

/** True if one more touch of the workspace may be claimed on the channel. */
export type MayClaim = (workspaceId: string, channel: Channel) => boolean;

/**
 * Plans the candidates of one batch in order. A plan counts for later candidates of the same lead and workspace. An
 * unreadable or undecidable row is held for a day and does not stop the batch.
 */
export function planner(now: Date): Planner;
export function planner(now: Date, mayClaim: MayClaim): (candidate: DueCandidate) => DecidedPlan | LeftDue;
export function planner(now: Date, mayClaim: MayClaim = () => true) {
  const batch = new Batch(now);
  return (candidate: DueCandidate): DecidedPlan | LeftDue => {
    const { read } = candidate;
    if ("fault" in read) return holdBroken(candidate, "unreadable_row", read.fault, now);
    try {
      return plan(candidate, batch.seenBy(read.item), batch, mayClaim);
    } catch (thrown) {
      return holdBroken(candidate, "decision_failed", detailOf(thrown), now);
    }
  };
}

function plan(candidate: DueCandidate, item: DueItem, batch: Batch, mayClaim: MayClaim): DecidedPlan | LeftDue {
  const { now } = batch;
  const decision = decide(item, now);
  const touch = touchOf(decision, item.lead);
  const state = nextState(item, decision, now);
  assertWithinAllTimes(state);
  if (touch) assertWithinAllTimes(touch);
  if (touch?.status === "claimed" && !mayClaim(candidate.workspaceId, touch.channel)) return { leftOn: touch.channel };
  if (touch) batch.add(item, touch.channel);
  return { ...idsOf(candidate), state, touch, decision: told(decision) };
}

/** Tracks the touches that a batch has planned, by lead and by workspace. */
class Batch {
  readonly now: Date;
  readonly #reached = new Map<string, Channel[]>();
  readonly #usedOfCap = new Map<string, number>();

  constructor(now: Date) {
    this.now = now;
  }

  add({ lead, workspace }: DueItem, channel: Channel): void {
    note(this.#reached, keysOf(lead, workspace, channel), channel);
    this.#usedOfCap.set(workspace.id, (this.#usedOfCap.get(workspace.id) ?? 0) + 1);
  }

  seenBy(item: DueItem): DueItem {
    return asOfThisBatch(item, this.#reached, this.#usedOfCap, this.now);
  }
}

const LAST_INSTANT = Date.parse("9999-12-31T23:59:59.999Z");

class AfterAllTimes extends RangeError {}

/** An instant that PostgreSQL or JavaScript cannot hold would fail the whole batch. */
function assertWithinAllTimes(written: InstanceState | NonNullable<Plan["touch"]>): void {
  let name: keyof typeof written;
  for (name in written) {
    const value: unknown = written[name];
    if (value instanceof Date && !(value.getTime() <= LAST_INSTANT)) {
      throw new AfterAllTimes(`${name} would be after the year 9999`);
    }
  }
}

/** Redacts other errors to their class: the message may hold a value of the lead. */
function detailOf(thrown: unknown): string {
  if (thrown instanceof AfterAllTimes) return thrown.message;
  return `deciding threw ${thrown instanceof Error ? thrown.name : typeof thrown}`;
}

function asOfThisBatch(
  item: DueItem,
  reached: ReadonlyMap<string, readonly Channel[]>,
  usedOfCap: ReadonlyMap<string, number>,
  now: Date,
): DueItem {
  const { workspace } = item;
  const lead = reachedAtItsAddress(item, reached, now);
  const channels = reached.get(lead.id);
  const used = workspace.dailyCap === null ? 0 : (usedOfCap.get(workspace.id) ?? 0);
  if (!channels && lead === item.lead && used === 0) return item;
  const lastTouchAt = { ...lead.lastTouchAt, ...Object.fromEntries((channels ?? []).map((name) => [name, now])) };
  return {
    ...item,
    lead: channels ? { ...lead, lastOutboundAt: now, lastTouchAt } : lead,
    workspace: { ...workspace, dailyCapUsed: workspace.dailyCapUsed + used },
  };
}

function note(reached: Map<string, Channel[]>, keys: readonly string[], channel: Channel): void {
  for (const key of keys) reached.set(key, [...(reached.get(key) ?? []), channel]);
}

/** The lead, including this batch's touches to its address or number for another lead. */
function reachedAtItsAddress(
  { lead, workspace }: DueItem,
  reached: ReadonlyMap<string, readonly Channel[]>,
  now: Date,
) {
  if (!lead.twinTouchAt) return lead;
  const at = (channel: Channel, before: Date | null) =>
    keysOf(lead, workspace, channel).some((key) => key !== lead.id && reached.has(key)) ? now : before;
  const { email, phone } = lead.twinTouchAt;
  return { ...lead, twinTouchAt: { email: at("email", email), phone: at("sms", phone) } };
}

/** Keys under which a batch tracks a lead: its id, and its address if another lead shares it. */
function keysOf(lead: LeadFacts, workspace: WorkspaceFacts, channel: Channel): readonly string[] {
  const kind = ADDRESS_OF_CHANNEL[channel];
  const stored = lead.twinTouchAt && kind ? lead[kind] : null;
  if (!stored || !kind) return [lead.id];
  const address = kind === "email" ? normaliseEmail(stored) : normalisePhone(stored);
  return [lead.id, `${workspace.id} ${address}`];
}

const idsOf = ({ instanceId, workspaceId, position }: DueCandidate) => ({ instanceId, workspaceId, position });

function touchOf(decision: Decision, lead: LeadFacts): Plan["touch"] {
  if (decision.kind !== "send" && decision.kind !== "awaitApproval") return null;
  const { step, message, expiresAt } = decision;
  const expectedOutboundAt = lastReachedAt(lead, step.channel);
  const planned = { stepId: step.id, channel: step.channel, message, expiresAt, expectedOutboundAt };
  return decision.kind === "send"
    ? { ...planned, status: "claimed", sendUntil: decision.sendUntil }
    : { ...planned, status: "awaiting_approval", sendUntil: null };
}

const told = (decision: Decision): Told => ({
  kind: decision.kind,
  reason: decision.reason,
  rule: decision.rule,
  detail: "detail" in decision ? decision.detail : undefined,
  until: "until" in decision ? decision.until : undefined,
});

function holdBroken(
  candidate: DueCandidate,
  reason: "unreadable_row" | "decision_failed",
  detail: string,
  now: Date,
): DecidedPlan {
  const until = repairBy(now);
  const { position, heldSince, nextStepDue } = candidate;
  const since = heldSince ?? nextStepDue;
  return {
    ...idsOf(candidate),
    state: { status: "active", position, nextStepDue: until, hold: { reason, since } },
    touch: null,
    decision: { kind: "hold", reason, rule: reason, detail, until },
  };
}
