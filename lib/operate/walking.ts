import type { DueItem } from "../domain/due-item.ts";
import type { InstanceState } from "../domain/next-state.ts";
import { needsChange } from "../domain/outlook.ts";
import { daysAfter } from "../domain/time-zone.ts";
import type { DueCandidate } from "../run/store-ports.ts";

/** A live instance at the start. */
export interface Followed {
  readonly candidate: DueCandidate;
  readonly status: "active" | "paused";
  readonly pausedReason: string | null;
  readonly holdReason: string | null;
  /** When the touch that waits for approval expires; null if it does not, or if none waits. */
  readonly approvalExpiresAt: Date | null;
}

/** A live instance on the virtual clock. */
export interface Walking extends Omit<Followed, "candidate"> {
  readonly id: string;
  readonly leadId: string;
  readonly item: DueItem;
  readonly position: number;
  readonly nextStepDue: Date;
  readonly heldSince: Date | null;
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

export function withState(walking: Walking, state: InstanceState): Walking {
  const { position } = state;
  if (state.status === "active") {
    const { nextStepDue, hold } = state;
    const held = { holdReason: hold?.reason ?? null, heldSince: hold?.since ?? null };
    return { ...walking, status: "active", position, nextStepDue, pausedReason: null, ...held };
  }
  const pausedReason = state.status === "paused" ? state.reason : null;
  return { ...walking, status: "paused", position, pausedReason, holdReason: null, heldSince: null };
}
