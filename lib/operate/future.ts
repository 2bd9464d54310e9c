import type { DueItem, LeadFacts, WorkspaceFacts } from "../domain/due-item.ts";
import { ADDRESS_KINDS, ADDRESS_OF_CHANNEL, type Channel } from "../domain/labels.ts";
import { afterWaiting } from "../domain/next-state.ts";
import { needsChange } from "../domain/outlook.ts";
import { booked, contactBar } from "../domain/rules.ts";
import { capDayEnd, capDayOf } from "../domain/send-times.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import { addressKey, planBatch } from "../run/plan.ts";
import type { DueCandidate, Plan } from "../run/store-ports.ts";
import { ENDS_BY_TIME } from "../store/candidates.ts";
import { inTurn } from "../store/claim.ts";
import { type Followed, lookAt, type Walking, withState } from "./walking.ts";

/** Something that would happen to a step. */
export interface Foreseen {
  readonly kind: "touch" | "approval" | "approval_expired" | "hold" | "pause" | "skip" | "expire" | "complete";
  readonly at: Date;
  readonly instanceId: string;
  readonly position: number;
  readonly channel: Channel | null;
  readonly reason: string;
}

/**
 * What the engine does with the live instances of one workspace from `from` on, run each minute until `until`, if
 * no lead replies or books, no text is approved, nothing changes, and every touch is accepted on its first attempt. Pure: it decides with the
 * same functions as a run, on a virtual clock. Yields in order of time.
 */
export function* futureOf(followed: readonly Followed[], from: Date, until: Date): Generator<Foreseen> {
  const world = new World(followed, from, until);
  yield* world.unreadable;
  for (let tick = 0; tick < world.ticks; tick += 1) yield* world.run(tick);
}

class World {
  readonly ticks: number;
  readonly unreadable: readonly Foreseen[];
  readonly #start: number;
  readonly #leads = new Map<string, LeadFacts>();
  /** Leads by the address that they share. */
  readonly #sharing = new Map<string, string[]>();
  readonly #instances = new Map<string, Walking>();
  /** The instances to look at, by minute. */
  readonly #agenda: (string[] | undefined)[] = [];
  readonly #held = new Set<string>();
  readonly #from: Date;
  readonly #usedOfDay = new Map<string, number>();

  constructor(followed: readonly Followed[], from: Date, until: Date) {
    this.#from = from;
    this.#start = Math.ceil(from.getTime() / MINUTE_MS);
    this.ticks = Math.max(0, Math.floor(until.getTime() / MINUTE_MS) - this.#start);
    const unreadable: Foreseen[] = [];
    for (const { candidate, ...state } of followed) {
      const { instanceId, position, nextStepDue, heldSince, read } = candidate;
      if ("fault" in read) {
        unreadable.push({ kind: "hold", at: from, instanceId, position, channel: null, reason: "unreadable_row" });
        continue;
      }
      const { item } = read;
      this.#addLead(item);
      // What held it may have been repaired since: it is decided again.
      const holdReason = needsChange(state.holdReason ?? "") ? null : state.holdReason;
      const walking = {
        ...state,
        holdReason,
        id: instanceId,
        leadId: item.lead.id,
        item,
        position,
        nextStepDue,
        heldSince,
      };
      this.#plan(walking, this.#start);
    }
    this.unreadable = unreadable;
  }

  *run(tick: number): Generator<Foreseen> {
    const ids = this.#agenda[tick];
    if (!ids) return;
    this.#agenda[tick] = undefined;
    const now = new Date((this.#start + tick) * MINUTE_MS);
    const due: Walking[] = [];
    for (const id of ids) {
      const walking = this.#instances.get(id);
      if (walking?.status === "active") due.push(walking);
      else if (walking?.pausedReason === "awaiting_approval") yield this.#expireApproval(walking, now);
      else if (walking && this.#mayResume(walking)) due.push({ ...walking, nextStepDue: now, heldSince: null });
    }
    const candidates = this.#candidates(due, now);
    for (const plan of planBatch(candidates, now).plans) yield* this.#apply(plan, now);
  }

  #addLead({ lead, workspace }: DueItem): void {
    if (this.#leads.has(lead.id)) return;
    this.#leads.set(lead.id, lead);
    for (const key of sharedKeys(lead, workspace)) {
      this.#sharing.set(key, [...(this.#sharing.get(key) ?? []), lead.id]);
    }
  }

  /** Notes when to look at the instance again, not before that minute; never, if only a change can move it. */
  #plan(walking: Walking, soonest: number): void {
    this.#instances.set(walking.id, walking);
    this.#held.delete(walking.id);
    if (walking.status === "active" && walking.holdReason && ENDS_BY_TIME.includes(walking.holdReason)) {
      this.#held.add(walking.id);
    }
    const at = lookAt(walking);
    if (!at) return;
    const tick = Math.max(Math.ceil(at.getTime() / MINUTE_MS), soonest) - this.#start;
    if (tick >= this.ticks) return;
    const agenda = this.#agenda[tick];
    if (agenda) agenda.push(walking.id);
    else this.#agenda[tick] = [walking.id];
  }

  #expireApproval(walking: Walking, now: Date): Foreseen {
    const { id, position } = walking;
    this.#plan(withState(walking, afterWaiting(this.#itemOf(walking, now), now)), minuteAfter(now));
    return { kind: "approval_expired", at: now, instanceId: id, position, channel: null, reason: "time_to_live_over" };
  }

  #mayResume({ leadId, item: { sequence, workspace } }: Walking): boolean {
    const lead = this.#leads.get(leadId);
    if (!lead || contactBar(lead) || booked({ lead, sequence })) return false;
    return lead.automationEnabled && workspace.pausedAt === null;
  }

  #itemOf({ item, leadId, position, nextStepDue, heldSince }: Walking, now: Date): DueItem {
    const { ahead: _, ...instance } = item.instance;
    return {
      ...item,
      instance: { ...instance, position, nextStepDue, heldSince },
      lead: this.#leads.get(leadId) ?? item.lead,
      workspace: this.#workspaceAt(item.workspace, now),
    };
  }

  #workspaceAt(workspace: WorkspaceFacts, now: Date): WorkspaceFacts {
    return workspace.dailyCap === null ? workspace : { ...workspace, dailyCapUsed: this.#used(workspace, now) };
  }

  /** What is used of the cap on that day. */
  #used({ timeZone, dailyCapUsed }: WorkspaceFacts, now: Date): number {
    const day = capDayOf(timeZone, now);
    this.#usedOfDay.set(day, this.#usedOfDay.get(day) ?? (day === capDayOf(timeZone, this.#from) ? dailyCapUsed : 0));
    return this.#usedOfDay.get(day) ?? 0;
  }

  #useCap(workspace: WorkspaceFacts, now: Date): void {
    if (workspace.dailyCap === null) return;
    this.#usedOfDay.set(capDayOf(workspace.timeZone, now), this.#used(workspace, now) + 1);
  }

  /** In the order in which a run decides them. */
  #candidates(due: readonly Walking[], now: Date): readonly DueCandidate[] {
    const ordered = due.toSorted(
      (one, other) => one.nextStepDue.getTime() - other.nextStepDue.getTime() || (one.id < other.id ? -1 : 1),
    );
    const queue = this.#capQueue(ordered, now);
    return inTurn(ordered.map((walking) => this.#candidate(walking, now, queue)));
  }

  #candidate(walking: Walking, now: Date, queue: readonly Walking[]): DueCandidate {
    const { id, position, nextStepDue, heldSince } = walking;
    const item = this.#itemOf(walking, now);
    const older = queue.filter((held) => held.heldSince !== null && held.heldSince < (heldSince ?? nextStepDue));
    const until = Math.max(...older.map((held) => held.nextStepDue.getTime()));
    const ahead = { steps: older.length, until: new Date(until) };
    return {
      instanceId: id,
      workspaceId: item.workspace.id,
      position,
      nextStepDue,
      heldSince,
      read: { item: older.length > 0 ? { ...item, instance: { ...item.instance, ahead } } : item },
    };
  }

  /** The held steps that may still use the cap of today, besides those that are decided, as a claim reads them. */
  #capQueue(decided: readonly Walking[], now: Date): readonly Walking[] {
    const [first] = decided;
    if (!first || first.item.workspace.dailyCap === null) return [];
    const { dailyCap, timeZone } = first.item.workspace;
    const left = dailyCap - this.#used(first.item.workspace, now);
    if (left <= 0) return [];
    const end = capDayEnd(timeZone, now);
    const ids = new Set(decided.map(({ id }) => id));
    return [...this.#held]
      .flatMap((id) => this.#instances.get(id) ?? [])
      .filter((held) => !ids.has(held.id) && held.nextStepDue < end)
      .toSorted((one, other) => Number(one.heldSince) - Number(other.heldSince))
      .slice(0, left);
  }

  *#apply({ candidate, decision, state, touch }: Plan, now: Date): Generator<Foreseen> {
    const walking = this.#instances.get(candidate.instanceId);
    if (!walking) return;
    const { reason } = decision;
    const happened = {
      at: now,
      instanceId: walking.id,
      position: walking.position,
      channel: touch?.channel ?? null,
      reason,
    };
    if (touch) this.#useCap(walking.item.workspace, now);
    if (touch?.status === "claimed") this.#reach(walking, touch.channel, now);
    // A step that is held again for the same reason is one hold.
    if (decision.kind !== "hold" || walking.holdReason !== reason) yield { ...happened, kind: KINDS[decision.kind] };
    const next = withState(walking, state);
    if (state.status === "completed") {
      this.#instances.delete(walking.id);
      this.#held.delete(walking.id);
    } else
      this.#plan(
        { ...next, approvalExpiresAt: touch?.status === "awaiting_approval" ? touch.expiresAt : null },
        minuteAfter(now),
      );
  }

  /** Stamps the lead, and those who share the address. */
  #reach({ leadId, item: { workspace } }: Walking, channel: Channel, now: Date): void {
    const lead = this.#leads.get(leadId);
    if (!lead) return;
    this.#leads.set(leadId, { ...lead, lastOutboundAt: now, lastTouchAt: { ...lead.lastTouchAt, [channel]: now } });
    const kind = ADDRESS_OF_CHANNEL[channel];
    if (!kind || !lead.twinTouchAt) return;
    for (const id of this.#sharing.get(addressKey(lead, workspace, kind) ?? "") ?? []) {
      const twin = this.#leads.get(id);
      if (twin && id !== leadId && twin.twinTouchAt) {
        this.#leads.set(id, { ...twin, twinTouchAt: { ...twin.twinTouchAt, [kind]: now } });
      }
    }
  }
}

/** What is due within a minute that has been run waits for the next one. */
const minuteAfter = (now: Date): number => Math.floor(now.getTime() / MINUTE_MS) + 1;

const KINDS = {
  send: "touch",
  awaitApproval: "approval",
  hold: "hold",
  pause: "pause",
  skip: "skip",
  expire: "expire",
  complete: "complete",
} as const;

const sharedKeys = (lead: LeadFacts, workspace: WorkspaceFacts): readonly string[] =>
  lead.twinTouchAt ? ADDRESS_KINDS.flatMap((kind) => addressKey(lead, workspace, kind) ?? []) : [];
