import type { CompletedReason, Decision, HoldReason } from "./decision.ts";
import { type DueItem, type Sequence, stepFrom } from "./due-item.ts";
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

/** A touch of an ended instance, with what matters for resuming it. */
export interface PastTouch {
  readonly position: number;
  /** When its step finished; the next delay counts from here. */
  readonly doneAt: Date;
  /** The stop prevented it, and it was certainly never sent. */
  readonly stopped: boolean;
}

export interface EndedInstance {
  readonly sequence: Sequence;
  /** The position when it ended. */
  readonly position: number;
  readonly startedAt: Date;
  readonly touches: readonly PastTouch[];
  readonly zone: string;
}

export interface GoingOn {
  readonly position: number;
  readonly nextStepDue: Date;
}

/**
 * Where and when to resume an instance that was stopped by mistake.
 *
 * - Resumes at the first step that the stop prevented, otherwise at the step where the instance ended.
 * - Never resumes at or before a finished step, so that no step is sent twice.
 * - The step is due its delay after the last finished step, but not before `now`.
 *
 * Null if no step is left.
 */
export function goingOn({ sequence, position, startedAt, touches, zone }: EndedInstance, now: Date): GoingOn | null {
  const done = touches.filter(({ stopped }) => !stopped);
  const afterDone = Math.max(0, ...done.map((touch) => touch.position)) + 1;
  const stopped = touches.flatMap((touch) => (touch.stopped && touch.position >= afterDone ? [touch.position] : []));
  const step = stepFrom(sequence, Math.max(afterDone, Math.min(position, ...stopped)));
  if (!step) return null;
  const last = new Date(Math.max(startedAt.getTime(), ...done.map(({ doneAt }) => doneAt.getTime())));
  const due = laterInZone(last, step.delayMinutes, zoneOrUtc(zone));
  return { position: step.position, nextStepDue: due > now ? due : now };
}
