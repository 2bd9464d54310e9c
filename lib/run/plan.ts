import { NORMALISE } from "../domain/address.ts";
import { decide, missingValues } from "../domain/decide.ts";
import type { Decision } from "../domain/decision.ts";
import type { DueItem, LeadFacts, WorkspaceFacts } from "../domain/due-item.ts";
import { ADDRESS_KINDS, ADDRESS_OF_CHANNEL, type AddressKind, type Channel } from "../domain/labels.ts";
import { type InstanceState, nextState } from "../domain/next-state.ts";
import { lastReachedAt } from "../domain/send-times.ts";
import { repairBy } from "../domain/time-zone.ts";
import type { ClosedChannel, DueCandidate, NewTouch, Plan } from "./claim-ports.ts";
import type { LeftDue } from "./fair-share.ts";

/** How many touches a batch may claim. */
export interface Room {
  /** A channel without an entry has no room. */
  readonly channels: ReadonlyMap<Channel, ChannelRoom>;
  readonly closed: readonly ClosedChannel[];
}

export interface ChannelRoom {
  readonly claims: number;
  readonly claimsPerWorkspace: number;
  /** Claimed touches that become `sending` with the claim. */
  readonly starts: number;
}

/** The plans of a batch, and the candidates without room, which stay due. */
interface PlannedBatch {
  readonly plans: readonly Plan[];
  readonly leftDue: LeftDue;
}

/**
 * Plans the candidates of one batch in order. A plan counts for later candidates of the same lead and workspace. An
 * unreadable or undecidable row is held for a day and does not stop the batch. Without `room`, the batch claims every
 * sendable step and starts none. Adds its touches to `planned`.
 */
export function planBatch(
  candidates: readonly DueCandidate[],
  now: Date,
  room: Room | null = null,
  planned: PlannedTouches = new PlannedTouches(),
): PlannedBatch {
  const used = new UsedRoom(room);
  const plans: Plan[] = [];
  const leftDue = new Map<DueCandidate, Channel>();
  for (const candidate of candidates) {
    const plan = planOne(candidate, now, used, planned);
    if (typeof plan === "string") leftDue.set(candidate, plan);
    else plans.push(plan);
  }
  return { plans, leftDue };
}

/** Returns the plan, or the channel that has no room. */
function planOne(candidate: DueCandidate, now: Date, used: UsedRoom, planned: PlannedTouches): Plan | Channel {
  const { read, workspaceId } = candidate;
  if ("fault" in read) return holdBroken(candidate, "unreadable_row", read.fault, now);
  try {
    const item = planned.seenBy(read.item, now);
    const decision = decide(item, now);
    const touch = touchOf(decision, item.lead);
    const state = nextState(item, decision, now);
    assertWithinAllTimes(state);
    if (!touch) return { candidate, decision, state, touch, starts: false };
    assertWithinAllTimes(touch);
    const claims = touch.status === "claimed";
    if (claims && !used.claim(workspaceId, touch.channel)) return touch.channel;
    planned.add(item, touch.channel);
    // Free times may change until the claim commits: they are checked when sending starts.
    const starts = claims && !touch.offer && used.start(item.lead, touch.channel);
    return { candidate, decision, state, touch, starts };
  } catch (thrown) {
    return holdBroken(candidate, "decision_failed", decisionFault(thrown), now);
  }
}

/**
 * The names of the values that the next step lacks. Empty for a row that cannot be read or decided: its pause ends, so
 * that the claim holds it and reports its fault.
 */
export function missingIn(candidate: DueCandidate | undefined, now: Date): readonly string[] {
  if (!candidate || "fault" in candidate.read) return [];
  try {
    return missingValues(candidate.read.item, now);
  } catch {
    return [];
  }
}

/** Tracks how much of the room a batch has used. */
class UsedRoom {
  readonly #room: Room | null;
  readonly #claims = new Map<Channel, number>();
  readonly #claimsByWorkspace = new Map<Channel, Map<string, number>>();
  readonly #starts = new Map<Channel, number>();
  readonly #startedLeads = new Set<string>();

  constructor(room: Room | null) {
    this.#room = room;
  }

  /** Takes room for one touch; false if there is none. */
  claim(workspaceId: string, channel: Channel): boolean {
    if (!this.#room) return true;
    const room = this.#room.channels.get(channel);
    if (!room || isClosed(this.#room.closed, workspaceId, channel)) return false;
    const byWorkspace = this.#claimsByWorkspace.get(channel) ?? new Map<string, number>();
    const ofWorkspace = byWorkspace.get(workspaceId) ?? 0;
    const claims = this.#claims.get(channel) ?? 0;
    if (ofWorkspace >= room.claimsPerWorkspace || claims >= room.claims) return false;
    this.#claimsByWorkspace.set(channel, byWorkspace.set(workspaceId, ofWorkspace + 1));
    this.#claims.set(channel, claims + 1);
    return true;
  }

  /** True for at most one touch per lead, and never for leads that share an address: starting one locks them all. */
  start({ id, twinTouchAt }: LeadFacts, channel: Channel): boolean {
    const starts = this.#starts.get(channel) ?? 0;
    if (starts >= (this.#room?.channels.get(channel)?.starts ?? 0)) return false;
    if (twinTouchAt !== null || this.#startedLeads.has(id)) return false;
    this.#startedLeads.add(id);
    this.#starts.set(channel, starts + 1);
    return true;
  }
}

const isClosed = (closed: readonly ClosedChannel[], workspaceId: string, channel: Channel): boolean =>
  closed.some((scope) => scope.channel === channel && (scope.workspaceId ?? workspaceId) === workspaceId);

/** Touches planned so far, by lead and by workspace. */
export class PlannedTouches {
  readonly #reached = new Map<string, Channel[]>();
  readonly #usedOfCap = new Map<string, number>();

  add({ lead, workspace }: DueItem, channel: Channel): void {
    for (const key of keysOf(lead, workspace, channel)) {
      const channels = this.#reached.get(key);
      if (channels) channels.push(channel);
      else this.#reached.set(key, [channel]);
    }
    this.#usedOfCap.set(workspace.id, (this.#usedOfCap.get(workspace.id) ?? 0) + 1);
  }

  /** The item as it is once these touches are sent. */
  seenBy(item: DueItem, now: Date): DueItem {
    const { workspace } = item;
    const lead = this.#reachedAtItsAddress(item, now);
    const channels = this.#reached.get(lead.id);
    const used = workspace.dailyCap === null ? 0 : (this.#usedOfCap.get(workspace.id) ?? 0);
    if (!channels && lead === item.lead && used === 0) return item;
    const lastTouchAt = { ...lead.lastTouchAt, ...Object.fromEntries((channels ?? []).map((name) => [name, now])) };
    return {
      ...item,
      lead: channels ? { ...lead, lastOutboundAt: now, lastTouchAt } : lead,
      workspace: { ...workspace, dailyCapUsed: workspace.dailyCapUsed + used },
    };
  }

  /** The lead, including touches to its address or number for another lead. */
  #reachedAtItsAddress({ lead, workspace }: DueItem, now: Date): LeadFacts {
    if (!lead.twinTouchAt) return lead;
    const twinTouchAt = { ...lead.twinTouchAt };
    for (const kind of ADDRESS_KINDS) {
      const key = addressKey(lead, workspace, kind);
      if (key && this.#reached.has(key)) twinTouchAt[kind] = now;
    }
    return { ...lead, twinTouchAt };
  }
}

/** Keys under which a lead is tracked: its id, and its address if another lead shares it. */
function keysOf(lead: LeadFacts, workspace: WorkspaceFacts, channel: Channel): readonly string[] {
  const kind = ADDRESS_OF_CHANNEL[channel];
  const key = lead.twinTouchAt && kind && addressKey(lead, workspace, kind);
  return key ? [lead.id, key] : [lead.id];
}

/** The address or number of a lead within its workspace, as twins share it; null without one. */
export function addressKey(lead: LeadFacts, workspace: WorkspaceFacts, kind: AddressKind): string | null {
  const stored = lead[kind];
  return stored && `${workspace.id} ${NORMALISE[kind](stored)}`;
}

function touchOf(decision: Decision, lead: LeadFacts): NewTouch | null {
  if (decision.kind !== "send" && decision.kind !== "awaitApproval") return null;
  const { step, message, offer, expiresAt } = decision;
  const expectedOutboundAt = lastReachedAt(lead, step.channel);
  const planned = {
    stepId: step.id,
    channel: step.channel,
    message,
    expiresAt,
    expectedOutboundAt,
    ...(offer && { offer }),
  };
  return decision.kind === "send"
    ? { ...planned, status: "claimed", sendUntil: decision.sendUntil }
    : { ...planned, status: "awaiting_approval", sendUntil: null };
}

const LAST_INSTANT = Date.parse("9999-12-31T23:59:59.999Z");

class AfterAllTimes extends RangeError {}

/** An instant that PostgreSQL or JavaScript cannot hold would fail the whole batch. */
function assertWithinAllTimes(written: InstanceState | NewTouch): void {
  let name: keyof typeof written;
  for (name in written) {
    const value: unknown = written[name];
    if (value instanceof Date && !(value.getTime() <= LAST_INSTANT)) {
      throw new AfterAllTimes(`${name} would be after the year 9999`);
    }
  }
}

/** Redacts other errors to their class: the message may hold a value of the lead. */
export function decisionFault(thrown: unknown): string {
  if (thrown instanceof AfterAllTimes) return thrown.message;
  return `deciding threw ${thrown instanceof Error ? thrown.name : typeof thrown}`;
}

function holdBroken(
  candidate: DueCandidate,
  reason: "unreadable_row" | "decision_failed",
  detail: string,
  now: Date,
): Plan {
  const until = repairBy(now);
  const { position, heldSince, nextStepDue } = candidate;
  const since = heldSince ?? nextStepDue;
  return {
    candidate,
    decision: { kind: "hold", reason, rule: reason, detail, until },
    state: { status: "active", position, nextStepDue: until, hold: { reason, since } },
    touch: null,
    starts: false,
  };
}
