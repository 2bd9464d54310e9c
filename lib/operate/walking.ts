import { type DueItem, stepFrom } from "../domain/due-item.ts";
import { ADDRESS_OF_CHANNEL } from "../domain/labels.ts";
import { isGiven } from "../domain/lead-columns.ts";
import type { InstanceState } from "../domain/next-state.ts";
import { needsChange } from "../domain/outlook.ts";
import { daysAfter } from "../domain/time-zone.ts";
import { missingIn } from "../run/plan.ts";
import type { LiveInstance } from "../store/live-instances.ts";

/** A live instance on the virtual clock. */
export interface Walking extends Omit<LiveInstance, "candidate"> {
  readonly id: string;
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

export function withState(
  { id, item, rechecks }: Walking,
  state: InstanceState,
  approvalExpiresAt: Date | null = null,
): Walking {
  const { position } = state;
  const isActive = state.status === "active";
  const hold = isActive ? state.hold : null;
  return {
    id,
    item,
    rechecks,
    status: isActive ? "active" : "paused",
    position,
    nextStepDue: isActive ? state.nextStepDue : item.instance.nextStepDue,
    pausedReason: state.status === "paused" ? state.reason : null,
    holdReason: hold?.reason ?? null,
    heldSince: hold?.since ?? null,
    approvalExpiresAt,
  };
}
