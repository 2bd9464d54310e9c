import { type DueItem, stepFrom } from "../domain/due-item.ts";
import { ADDRESS_OF_CHANNEL } from "../domain/labels.ts";
import { isGiven } from "../domain/lead-columns.ts";
import type { InstanceState } from "../domain/next-state.ts";
import { needsChange } from "../domain/outlook.ts";
import { booked, contactBar } from "../domain/rules.ts";
import { daysAfter } from "../domain/time-zone.ts";
import { missingIn } from "../run/plan.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import { Instants, Labels } from "./columns.ts";

/** The parts of a live instance that change with time. */
export interface Walk extends Omit<LiveInstance, "candidate" | "rechecks"> {
  readonly position: number;
  readonly nextStepDue: Date;
  readonly heldSince: Date | null;
}

/** A live instance on the virtual clock. */
export interface Walking extends Walk {
  /** Its place among all instances of the forecast. */
  readonly index: number;
  readonly id: string;
  /** As it was at the start. */
  readonly item: DueItem;
}

/** Where each instance is on the virtual clock. */
export class Walks {
  readonly #paused: Uint8Array;
  readonly #position: Int32Array;
  readonly #pausedReason: Labels;
  readonly #holdReason: Labels;
  readonly #nextStepDue: Instants;
  readonly #heldSince: Instants;
  readonly #approvalExpiresAt: Instants;

  constructor(length: number) {
    this.#paused = new Uint8Array(length);
    this.#position = new Int32Array(length);
    this.#pausedReason = new Labels(length);
    this.#holdReason = new Labels(length);
    this.#nextStepDue = new Instants(length);
    this.#heldSince = new Instants(length);
    this.#approvalExpiresAt = new Instants(length);
  }

  set(index: number, walk: Walk): void {
    this.#paused[index] = walk.status === "paused" ? 1 : 0;
    this.#position[index] = walk.position;
    this.#pausedReason.set(index, walk.pausedReason);
    this.#holdReason.set(index, walk.holdReason);
    this.#nextStepDue.set(index, walk.nextStepDue);
    this.#heldSince.set(index, walk.heldSince);
    this.#approvalExpiresAt.set(index, walk.approvalExpiresAt);
  }

  at(index: number): Walk {
    return {
      status: this.isActive(index) ? "active" : "paused",
      position: this.#position[index] ?? 0,
      nextStepDue: this.#nextStepDue.at(index) ?? new Date(0),
      pausedReason: this.#pausedReason.at(index),
      holdReason: this.#holdReason.at(index),
      heldSince: this.#heldSince.at(index),
      approvalExpiresAt: this.#approvalExpiresAt.at(index),
    };
  }

  /** For the reason for which it is held already. */
  holdUntil(index: number, until: Date): void {
    this.#nextStepDue.set(index, until);
  }

  isActive(index: number): boolean {
    return this.#paused[index] === 0;
  }

  /** As `inTurn` in lib/store/claim.ts: the step that has waited longest comes first. */
  compare(one: number, other: number): number {
    const byDue = this.#nextStepDue.timeAt(one) - this.#nextStepDue.timeAt(other);
    return this.#dueSince(one) - this.#dueSince(other) || byDue;
  }

  /** When the step was due before any hold. */
  #dueSince(index: number): number {
    const held = this.#heldSince.timeAt(index);
    return Number.isNaN(held) ? this.#nextStepDue.timeAt(index) : held;
  }
}

/** When something happens to the instance by time alone; null if only a change moves it. */
export function lookAt({
  status,
  holdReason,
  nextStepDue,
  pausedReason,
  approvalExpiresAt,
  item,
}: Walking): Date | null {
  if (status === "active") return holdReason !== null && needsChange(holdReason) ? null : nextStepDue;
  if (pausedReason === "awaiting_approval") return approvalExpiresAt;
  const { lead, workspace } = item;
  if (pausedReason === "lead_snoozed") return lead.snoozedUntil ?? nextStepDue;
  const { lastInboundAt, lastOutboundAt, lastContactedAt } = lead;
  const isAnswered = lastInboundAt && lastOutboundAt && lastOutboundAt > lastInboundAt;
  if (pausedReason !== "lead_replied" || !isAnswered) return null;
  const silentSince = Math.max(lastInboundAt.getTime(), lastContactedAt?.getTime() ?? 0);
  return daysAfter(new Date(silentSince), workspace.ghostedAfterDays);
}

/**
 * Whether what a pause at the start waited for has happened since, such as a value or a text that was completed. The
 * next run resumes it, as `PAUSE_ENDS` in lib/store/resume.ts says.
 */
export function isPauseOver({ candidate, pausedReason, rechecks }: LiveInstance, now: Date): boolean {
  if (!rechecks || "fault" in candidate.read) return false;
  const { lead, sequence } = candidate.read.item;
  if (pausedReason === "manual") return true;
  if (pausedReason === "missing_data") return missingIn(candidate, now).length === 0;
  if (pausedReason !== "awaiting_enrichment") return false;
  const step = stepFrom(sequence, candidate.position);
  const needed = step && ADDRESS_OF_CHANNEL[step.channel];
  return lead.enrichmentStatus !== "pending" || !needed || isGiven(lead[needed]);
}

/** Whether the next run resumes a pause that is over. */
export function mayResume({ lead, sequence, workspace }: DueItem): boolean {
  if (contactBar(lead) || booked({ lead, sequence })) return false;
  return lead.automationEnabled && workspace.pausedAt === null;
}

/** An instance as it is stored, at the start of the clock. */
export function walkingOf(index: number, { candidate, ...instance }: LiveInstance, item: DueItem): Walking {
  const { status, pausedReason, approvalExpiresAt } = instance;
  const { instanceId: id, position, nextStepDue, heldSince } = candidate;
  // The cause of the hold may have been repaired, so it is decided again.
  const holdReason = needsChange(instance.holdReason ?? "") ? null : instance.holdReason;
  return { index, id, item, status, pausedReason, holdReason, approvalExpiresAt, position, nextStepDue, heldSince };
}

export function withState(
  { index, id, item }: Walking,
  state: InstanceState,
  approvalExpiresAt: Date | null = null,
): Walking {
  const { position } = state;
  const isActive = state.status === "active";
  const hold = isActive ? state.hold : null;
  return {
    index,
    id,
    item,
    status: isActive ? "active" : "paused",
    position,
    nextStepDue: isActive ? state.nextStepDue : item.instance.nextStepDue,
    pausedReason: state.status === "paused" ? state.reason : null,
    holdReason: hold?.reason ?? null,
    heldSince: hold?.since ?? null,
    approvalExpiresAt,
  };
}
