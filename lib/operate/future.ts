import { type AheadForCap, type DueItem, stepFrom } from "../domain/due-item.ts";
import type { Channel } from "../domain/labels.ts";
import { afterWaiting } from "../domain/next-state.ts";
import { needsChange } from "../domain/outlook.ts";
import { booked, contactBar } from "../domain/rules.ts";
import type { Message } from "../domain/templates.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import type { DueCandidate, Plan } from "../run/claim-ports.ts";
import { planBatch } from "../run/plan.ts";
import { inTurn } from "../store/claim.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import { ClockCap } from "./clock-cap.ts";
import { ClockLeads } from "./clock-leads.ts";
import { isPauseOver, lookAt, type Walking, withState } from "./walking.ts";

/** Something that would happen to a step. */
export interface Foreseen {
  readonly kind: "touch" | "approval" | "approval_expired" | "hold" | "pause" | "skip" | "expire" | "complete";
  readonly at: Date;
  readonly instanceId: string;
  readonly position: number;
  /** Null if no step is left, or its row is unreadable. */
  readonly stepId: string | null;
  readonly channel: Channel | null;
  readonly reason: string;
  /** The text of a touch or of an approval. */
  readonly message: Message | null;
  /** Whether the sequence ends with it. */
  readonly ends: boolean;
}

/**
 * Foresees the actions of the engine on live instances of one workspace, run each minute from `from` until `until`.
 * Assumes that no lead replies or books, no text is approved, free times are left, nothing changes, and every touch is
 * accepted on its first attempt. Pure: it decides with the same functions as a run, on a virtual clock. Yields in
 * order of time.
 */
export function* futureOf(live: readonly LiveInstance[], from: Date, until: Date): Generator<Foreseen> {
  const world = new World(live, from, until);
  yield* world.unreadable;
  for (let tick = 0; tick < world.ticks; tick += 1) yield* world.run(tick);
}

class World {
  readonly ticks: number;
  readonly unreadable: readonly Foreseen[];
  readonly #start: number;
  readonly #leads = new ClockLeads();
  readonly #cap: ClockCap;
  readonly #instances = new Map<string, Walking>();
  /** The instances to look at, by minute. */
  readonly #agenda: (string[] | undefined)[] = [];

  constructor(live: readonly LiveInstance[], from: Date, until: Date) {
    this.#cap = new ClockCap(from, until);
    this.#start = Math.ceil(from.getTime() / MINUTE_MS);
    this.ticks = Math.max(0, Math.floor(until.getTime() / MINUTE_MS) - this.#start);
    const unreadable: Foreseen[] = [];
    for (const instance of live) {
      const { candidate, holdReason, ...state } = instance;
      const { instanceId: id, position, nextStepDue, heldSince, read } = candidate;
      if ("fault" in read) {
        const step = { instanceId: id, position, stepId: null, channel: null, message: null, ends: false };
        unreadable.push({ ...step, kind: "hold", at: from, reason: "unreadable_row" });
        continue;
      }
      const { item } = read;
      this.#leads.add(item);
      // The cause of the hold may have been repaired, so it is decided again.
      const held = needsChange(holdReason ?? "") ? null : holdReason;
      const walking = { ...state, holdReason: held, id, item, position, nextStepDue, heldSince };
      this.#plan(walking, this.#start, isPauseOver(instance, from) ? from : lookAt(walking));
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
    for (const plan of planBatch(this.#candidates(due, now), now).plans) yield* this.#apply(plan, now);
  }

  /** Notes when to look at the instance again, not before that minute; never, if only a change can move it. */
  #plan(walking: Walking, soonest: number, at = lookAt(walking)): void {
    this.#instances.set(walking.id, walking);
    this.#cap.follow(walking);
    if (!at) return;
    const tick = Math.max(Math.ceil(at.getTime() / MINUTE_MS), soonest) - this.#start;
    if (tick >= this.ticks) return;
    const agenda = this.#agenda[tick];
    if (agenda) agenda.push(walking.id);
    else this.#agenda[tick] = [walking.id];
  }

  #expireApproval(walking: Walking, now: Date): Foreseen {
    const state = afterWaiting(this.#itemOf(walking, now), now);
    this.#plan(withState(walking, state), minuteAfter(now));
    const ends = state.status === "completed";
    return { ...stepOf(walking), kind: "approval_expired", at: now, reason: "time_to_live_over", ends };
  }

  #mayResume({ item }: Walking): boolean {
    const { sequence, workspace } = item;
    const lead = this.#leads.of(item);
    if (contactBar(lead) || booked({ lead, sequence })) return false;
    return lead.automationEnabled && workspace.pausedAt === null;
  }

  #itemOf(
    { item, position, nextStepDue, heldSince }: Walking,
    now: Date,
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
      lead: this.#leads.of(item),
      sequence: item.sequence,
      workspace: this.#cap.of(item.workspace, now),
      slots: "assumed",
    };
  }

  /** In the order in which a run decides them. */
  #candidates(due: readonly Walking[], now: Date): readonly DueCandidate[] {
    const ordered = due.toSorted(
      (one, other) => one.nextStepDue.getTime() - other.nextStepDue.getTime() || (one.id < other.id ? -1 : 1),
    );
    const [first] = ordered;
    if (!first) return [];
    const aheadOf = this.#cap.queueAt(first.item.workspace, now);
    return inTurn(
      ordered.map((walking): DueCandidate => {
        const { id, position, nextStepDue, heldSince } = walking;
        const item = this.#itemOf(walking, now, () => aheadOf(walking));
        return { instanceId: id, workspaceId: item.workspace.id, position, nextStepDue, heldSince, read: { item } };
      }),
    );
  }

  *#apply({ candidate, decision, state, touch }: Plan, now: Date): Generator<Foreseen> {
    const walking = this.#instances.get(candidate.instanceId);
    if (!walking) return;
    const { id, item } = walking;
    const { kind, reason } = decision;
    const ends = state.status === "completed";
    if (touch) this.#cap.use(item.workspace, now);
    if (touch?.status === "claimed") this.#leads.reach(item, touch.channel, now);
    // A step that is held or paused again for the same reason waits once.
    const waitsAsBefore =
      (kind === "hold" && walking.holdReason === reason) || (kind === "pause" && walking.pausedReason === reason);
    if (!waitsAsBefore) {
      const { channel = null, message = null } = touch ?? {};
      yield { ...stepOf(walking), kind: KINDS[kind], at: now, channel, reason, message, ends };
    }
    if (ends) {
      this.#instances.delete(id);
      this.#cap.forget(id);
      return;
    }
    const approvalExpiresAt = touch?.status === "awaiting_approval" ? touch.expiresAt : null;
    this.#plan(withState(walking, state, approvalExpiresAt), minuteAfter(now));
  }
}

const stepOf = ({ id, position, item }: Walking) => ({
  instanceId: id,
  position,
  stepId: stepFrom(item.sequence, position)?.id ?? null,
  channel: null,
  message: null,
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
