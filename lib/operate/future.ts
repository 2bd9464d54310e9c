import { type AheadForCap, type DueItem, stepFrom, type WorkspaceFacts } from "../domain/due-item.ts";
import type { Channel } from "../domain/labels.ts";
import { afterWaiting } from "../domain/next-state.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import type { Plan } from "../run/claim-ports.ts";
import { PlannedTouches, planBatch } from "../run/plan.ts";
import { CapHolds } from "./cap-holds.ts";
import { ClockCap } from "./clock-cap.ts";
import { ClockLeads } from "./clock-leads.ts";
import { ranksOf } from "./columns.ts";
import type { LiveInstances } from "./packed-instances.ts";
import { isPauseOver, lookAt, mayResume, type Walk, type Walking, Walks, walkingOf, withState } from "./walking.ts";

/** Something that would happen to a step. */
export interface Foreseen {
  readonly kind: "touch" | "approval" | "approval_expired" | "hold" | "pause" | "skip" | "expire" | "complete";
  readonly at: Date;
  /** The place of its instance among those of the forecast. */
  readonly index: number;
  readonly instanceId: string;
  readonly position: number;
  /** Null if no step is left, or its row is unreadable. */
  readonly stepId: string | null;
  readonly channel: Channel | null;
  readonly reason: string;
  /** Whether the sequence ends with it. */
  readonly ends: boolean;
}

/**
 * Foresees the actions of the engine on live instances of one workspace, run each minute from `from` until `until`.
 * Assumes that no lead replies or books, no text is approved, free times are left, nothing changes, and every touch is
 * accepted on its first attempt. Pure: it decides with the same functions as a run, on a virtual clock. Yields in
 * order of time.
 */
export function* futureOf(live: LiveInstances, from: Date, until: Date): Generator<Foreseen> {
  const world = new World(live, from, until);
  yield* world.unreadable;
  for (let tick = 0; tick < world.ticks; tick += 1) yield* world.run(tick);
}

/** Inputs that the decisions of one minute share. */
interface Minute {
  readonly now: Date;
  /** With what is used of its cap before this minute; `planned` has the rest. */
  readonly workspace: WorkspaceFacts;
  readonly aheadOf: ReturnType<ClockCap["queueAt"]>;
  readonly planned: PlannedTouches;
}

class World {
  readonly ticks: number;
  readonly unreadable: readonly Foreseen[];
  readonly #start: number;
  readonly #live: LiveInstances;
  readonly #leads: ClockLeads;
  /** Undefined if no instance is readable. */
  #cap: ClockCap | undefined;
  readonly #walks: Walks;
  readonly #holds: CapHolds;
  readonly #rankOfId: Uint32Array;
  /** The instances to look at, by minute. */
  readonly #agenda: (number[] | undefined)[] = [];

  constructor(live: LiveInstances, from: Date, until: Date) {
    this.#live = live;
    this.#leads = new ClockLeads(live.length);
    this.#walks = new Walks(live.length);
    this.#holds = new CapHolds(live.length);
    this.#start = Math.ceil(from.getTime() / MINUTE_MS);
    this.ticks = Math.max(0, Math.floor(until.getTime() / MINUTE_MS) - this.#start);
    const unreadable: Foreseen[] = [];
    const ids: string[] = [];
    for (let index = 0; index < live.length; index += 1) {
      const instance = live.at(index);
      if (!instance) continue;
      const { instanceId, position, read } = instance.candidate;
      ids.push(instanceId);
      if ("item" in read) {
        this.#cap ??= new ClockCap(read.item.workspace, from, until, live.length);
        const walking = walkingOf(index, instance, read.item);
        this.#leads.add(index, read.item);
        this.#cap.follow(index, walking);
        this.#plan(walking, this.#start, isPauseOver(instance, from) ? from : lookAt(walking));
      } else {
        const step = { index, instanceId, position, stepId: null, channel: null, ends: false };
        unreadable.push({ ...step, kind: "hold", at: from, reason: "unreadable_row" });
      }
    }
    this.unreadable = unreadable;
    this.#rankOfId = ranksOf(ids);
  }

  *run(tick: number): Generator<Foreseen> {
    const indexes = this.#agenda[tick];
    if (!indexes || !this.#cap) return;
    this.#agenda[tick] = undefined;
    const now = new Date((this.#start + tick) * MINUTE_MS);
    const due: number[] = [];
    for (const index of indexes) {
      if (this.#walks.isActive(index)) due.push(index);
      else yield* this.#wake(index, now, due);
    }
    const [workspace, aheadOf] = [this.#cap.workspaceAt(now), this.#cap.queueAt(now)];
    const minute = { now, workspace, aheadOf, planned: new PlannedTouches() };
    // One after the other, so that memory holds one.
    for (const index of due.sort((one, other) => this.#inTurn(one, other))) yield* this.#decide(index, minute);
    for (const index of due) this.#cap.follow(index, this.#walks.at(index));
  }

  #walkingAt(index: number): Walking | undefined {
    const read = this.#live.at(index)?.candidate.read;
    if (!read || "fault" in read) return undefined;
    return { index, id: read.item.instance.id, item: read.item, ...this.#walks.at(index) };
  }

  /** In the order in which a run decides them. */
  #inTurn(one: number, other: number): number {
    return this.#walks.compare(one, other) || (this.#rankOfId[one] ?? 0) - (this.#rankOfId[other] ?? 0);
  }

  #plan(walking: Walking, soonest: number, at = lookAt(walking)): void {
    this.#walks.set(walking.index, walking);
    if (at) this.#note(walking.index, at, soonest);
  }

  /** Notes when to look at the instance again, not before that minute. */
  #note(index: number, at: Date, soonest: number): void {
    const tick = Math.max(Math.ceil(at.getTime() / MINUTE_MS), soonest) - this.#start;
    if (tick >= this.ticks) return;
    const agenda = this.#agenda[tick];
    if (agenda) agenda.push(index);
    else this.#agenda[tick] = [index];
  }

  /** Ends a pause: the step is due now, or the next one later, if its text waited for approval. */
  *#wake(index: number, now: Date, due: number[]): Generator<Foreseen> {
    const walking = this.#walkingAt(index);
    if (!walking) return;
    const item = this.#itemOf(walking, walking.item.workspace);
    if (walking.pausedReason === "awaiting_approval") {
      const state = afterWaiting(item, now);
      this.#plan(withState(walking, state), minuteAfter(now));
      const ends = state.status === "completed";
      yield { ...stepOf(walking), kind: "approval_expired", at: now, reason: "time_to_live_over", ends };
    } else if (mayResume(item)) {
      this.#walks.set(index, { ...walking, nextStepDue: now, heldSince: null });
      due.push(index);
    }
  }

  #itemOf(
    { index, item, position, nextStepDue, heldSince }: Walking,
    workspace: WorkspaceFacts,
    ahead?: () => AheadForCap | undefined,
  ): DueItem {
    const { id, generation } = item.instance;
    return {
      // Most rules end before the cap is looked at.
      instance: {
        id,
        generation,
        position,
        nextStepDue,
        heldSince,
        get ahead() {
          return ahead?.();
        },
      },
      lead: this.#leads.of(index, item.lead),
      sequence: item.sequence,
      workspace,
      slots: "assumed",
    };
  }

  #heldAgainUntil(index: number, minute: Minute): Date | undefined {
    if (!this.#holds.isHeld(index)) return undefined;
    const waitsFor = this.#waitsFor(this.#walks.at(index), minute);
    return this.#holds.heldAgainUntil(index, minute.now, waitsFor, this.#leads.touchedAt(index));
  }

  #waitsFor(walk: Walk, { now, aheadOf }: Minute): number | null {
    return this.#cap?.waitsFor(walk, now, aheadOf) ?? null;
  }

  *#decide(index: number, minute: Minute): Generator<Foreseen> {
    const { now, workspace, aheadOf, planned } = minute;
    const heldUntil = this.#heldAgainUntil(index, minute);
    if (heldUntil) {
      this.#walks.holdUntil(index, heldUntil);
      this.#note(index, heldUntil, minuteAfter(now));
      return;
    }
    const walking = this.#walkingAt(index);
    if (!walking) return;
    const { id: instanceId, position, nextStepDue, heldSince } = walking;
    const item = this.#itemOf(walking, workspace, () => aheadOf(walking));
    const candidate = { instanceId, workspaceId: workspace.id, position, nextStepDue, heldSince, read: { item } };
    for (const plan of planBatch([candidate], now, null, planned).plans) yield* this.#apply(walking, plan, minute);
  }

  *#apply(walking: Walking, plan: Plan, minute: Minute): Generator<Foreseen> {
    const { now } = minute;
    const { decision, state, touch } = plan;
    const { kind, reason } = decision;
    if (touch) {
      this.#cap?.use(now);
      this.#leads.touch(walking.index, walking.item, touch, now);
    }
    const approvalExpiresAt = touch?.status === "awaiting_approval" ? touch.expiresAt : null;
    this.#plan(withState(walking, state, approvalExpiresAt), minuteAfter(now));
    this.#holds.note(walking.index, plan, now, this.#waitsFor(walking, minute));
    // A step that is held or paused again for the same reason waits once.
    const waitsAsBefore =
      (kind === "hold" && walking.holdReason === reason) || (kind === "pause" && walking.pausedReason === reason);
    if (waitsAsBefore) return;
    const ends = state.status === "completed";
    yield { ...stepOf(walking), kind: KINDS[kind], at: now, channel: touch?.channel ?? null, reason, ends };
  }
}

const stepOf = ({ index, id, position, item }: Walking) => ({
  index,
  instanceId: id,
  position,
  stepId: stepFrom(item.sequence, position)?.id ?? null,
  channel: null,
});

/** A step that falls due within a minute that has been run waits for the next minute. */
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
