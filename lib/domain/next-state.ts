import type { CompletedReason, Decision, HoldReason } from "./decision.ts";
import { type DueItem, stepFrom } from "./due-item.ts";
import type { PausedReason } from "./labels.ts";
import { laterInZone, zoneOrUtc, zoneUsed } from "./time-zone.ts";

/** An instance after a decision. The type excludes impossible states; database constraints do too. */
export type InstanceState =
  | {
      readonly status: "active";
      readonly position: number;
      readonly nextStepDue: Date;
      readonly hold: { readonly reason: HoldReason; readonly since: Date } | null;
    }
  | {
      readonly status: "paused";
      readonly position: number;
      readonly reason: PausedReason;
      readonly recheckAt: Date | null;
    }
  | {
      readonly status: "completed";
      readonly position: number;
      readonly completedAt: Date;
      readonly reason: CompletedReason;
    };

/** The next state of the instance. Pure. The position never moves back; a hold keeps the original due time. */
export function nextState(item: DueItem, decision: Decision, now: Date): InstanceState {
  const { position, heldSince, nextStepDue } = item.instance;
  switch (decision.kind) {
    case "send":
    case "skip":
    case "expire":
      return afterStep(item, decision.zone.zone, now);
    case "hold": {
      const hold = { reason: decision.reason, since: heldSince ?? nextStepDue };
      return { status: "active", position, nextStepDue: decision.until, hold };
    }
    case "pause":
      return { status: "paused", position, reason: decision.reason, recheckAt: decision.recheckAt };
    case "awaitApproval":
      return { status: "paused", position, reason: "awaiting_approval", recheckAt: null };
    case "complete":
      return { status: "completed", position, completedAt: now, reason: decision.reason };
    default:
      return decision satisfies never;
  }
}

/**
 * The next state after a step that waited for a person. An invalid time zone counts as UTC here; the next decision puts
 * the step on hold for it.
 */
export function afterWaiting(item: DueItem, now: Date): InstanceState {
  const { zone } = zoneUsed(item.lead, item.workspace);
  return afterStep(item, zoneOrUtc(zone), now);
}

/**
 * Advances to the next step, due its delay from now. The due time is always after `now`, so that a lead never gets two
 * steps of a sequence in one run. Completes the instance if no step is left.
 */
function afterStep({ sequence, instance }: DueItem, zone: string, now: Date): InstanceState {
  const current = stepFrom(sequence, instance.position);
  const next = current && stepFrom(sequence, current.position + 1);
  if (!next) return { status: "completed", position: instance.position, completedAt: now, reason: "out_of_steps" };
  const due = laterInZone(now, next.delayMinutes, zone);
  const nextStepDue = due > now ? due : new Date(now.getTime() + 1);
  return { status: "active", position: next.position, nextStepDue, hold: null };
}
