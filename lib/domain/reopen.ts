import { type Sequence, stepFrom } from "./due-item.ts";
import { laterInZone, zoneOrUtc } from "./time-zone.ts";

/** A touch of an instance that has ended, as far as it matters to going on. */
export interface PastTouch {
  readonly position: number;
  /** When its step was done with: the delay of the next one counts from then. */
  readonly doneAt: Date;
  /** The stop kept it from going out, and it is certain that it never did. */
  readonly stopped: boolean;
}

export interface EndedInstance {
  readonly sequence: Sequence;
  /** Where it stood. */
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
 * Where an instance that was stopped by mistake goes on, and when: at the first step that the stop kept from going out, else
 * where it stood; never at or before a step that was done with, so that nothing goes out twice. Due its delay after the
 * last step that was done with, and not before now. Null where no step is left.
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
