import { type Sequence, stepFrom } from "./due-item.ts";
import { laterInZone, zoneOrUtc } from "./time-zone.ts";

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
