import * as z from "zod";
import { stepsFrom } from "../domain/due-item.ts";
import { CHANNELS } from "../domain/labels.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import type { StoredSteps } from "../store/stored-sequences.ts";
import type { Foreseen } from "./future.ts";
import { isoInstant } from "./operation.ts";

/** How a step ends in the days of a forecast; `none` if nothing happens to it. */
const ending = z.object({
  kind: z.enum(["touch", "approval", "approval_expired", "hold", "pause", "skip", "expire", "complete", "none"]),
  channel: z.enum(CHANNELS).nullable(),
  reason: z.string().nullable(),
});

/** Steps whose end changes in the same way. */
const change = z.object({
  sequence: z.string(),
  /** The key of the step. */
  step: z.string(),
  before: ending,
  after: ending,
  /** If both are touches: whether the second goes earlier, later, or at the same time. Null otherwise. */
  goes: z.enum(["earlier", "later", "at_the_same_time"]).nullable(),
  /** Whether a touch goes with another text. */
  otherText: z.boolean(),
  steps: z.int(),
  /** When the touches go after the edit: the three most frequent times. Empty if none goes. */
  times: z.array(z.object({ at: isoInstant, steps: z.int() })),
});

/** The differences between two futures of the same instances. */
export const effect = z.object({
  /** The most frequent first. */
  changes: z.array(change),
  /** Sequences of leads that end in these days earlier, later, only after the edit, or only without it. */
  ends: z.object({ earlier: z.int(), later: z.int(), added: z.int(), removed: z.int() }),
});
type Effect = z.output<typeof effect>;
type Ending = z.output<typeof ending>;
type Change = Effect["changes"][number];

const TIMES_SHOWN = 3;

interface Counted extends Omit<Change, "steps" | "times"> {
  steps: number;
  readonly times: Map<number, number>;
}

/** Compares two futures of groups of instances, group by group. */
export class EffectCounts {
  readonly #changes = new Map<string, Counted>();
  readonly #ends = { earlier: 0, later: 0, added: 0, removed: 0 };
  readonly #stored: StoredSteps;

  constructor(stored: StoredSteps) {
    this.#stored = stored;
  }

  /** Compares what happens to these instances without the edit and with it. */
  add(live: readonly LiveInstance[], before: Iterable<Foreseen>, after: Iterable<Foreseen>): void {
    const [one, other] = [new Endings(before), new Endings(after)];
    for (const instance of live) {
      const { candidate } = instance;
      if (!("item" in candidate.read)) continue;
      for (const [index, step] of stepsFrom(candidate.read.item.sequence, candidate.position).entries()) {
        const now = index === 0 ? waitingNow(instance) : NOTHING;
        const place = { instanceId: candidate.instanceId, stepId: step.id };
        this.#compare(step.id, one.of(place) ?? now, other.of(place) ?? now);
      }
      this.#compareEnds(one.endsAt.get(candidate.instanceId), other.endsAt.get(candidate.instanceId));
    }
  }

  get effect(): Effect {
    const sorted = [...this.#changes].toSorted(([one, a], [other, b]) => b.steps - a.steps || (one < other ? -1 : 1));
    return {
      changes: sorted.map(([, counted]) => ({ ...counted, times: mostFrequent(counted.times) })),
      ends: this.#ends,
    };
  }

  #compare(stepId: string, before: Foreseen | Ending, after: Foreseen | Ending): void {
    const ends = { before: endingOf(before), after: endingOf(after) };
    const goes = isTouch(before) && isTouch(after) ? directionOf(before.at, after.at) : null;
    const otherText = goes !== null && textOf(before) !== textOf(after);
    const isSame = JSON.stringify(ends.before) === JSON.stringify(ends.after);
    if (isSame && (goes ?? "at_the_same_time") === "at_the_same_time" && !otherText) return;
    const { sequence = "", key: step = "" } = this.#stored.get(stepId) ?? {};
    const key = JSON.stringify([sequence, step, ends, goes, otherText]);
    const counted: Counted = this.#changes.get(key) ?? {
      sequence,
      step,
      ...ends,
      goes,
      otherText,
      steps: 0,
      times: new Map(),
    };
    this.#changes.set(key, counted);
    counted.steps += 1;
    if (isTouch(after)) counted.times.set(+after.at, (counted.times.get(+after.at) ?? 0) + 1);
  }

  #compareEnds(before: Date | undefined, after: Date | undefined): void {
    if (before && after) {
      if (after < before) this.#ends.earlier += 1;
      else if (after > before) this.#ends.later += 1;
    } else if (after) this.#ends.added += 1;
    else if (before) this.#ends.removed += 1;
  }
}

/** The last thing that happens to each step, and when each instance ends. */
class Endings {
  readonly endsAt = new Map<string, Date>();
  /** Keyed by instance; an instance has few steps. */
  readonly #last = new Map<string, Foreseen[]>();

  constructor(future: Iterable<Foreseen>) {
    for (const foreseen of future) {
      const ofInstance = this.#last.get(foreseen.instanceId);
      const place = ofInstance?.findIndex(({ stepId }) => stepId === foreseen.stepId) ?? -1;
      if (!ofInstance) this.#last.set(foreseen.instanceId, [foreseen]);
      else if (place === -1) ofInstance.push(foreseen);
      else ofInstance[place] = foreseen;
      if (foreseen.ends) this.endsAt.set(foreseen.instanceId, foreseen.at);
    }
  }

  of({ instanceId, stepId }: Pick<Foreseen, "instanceId" | "stepId">): Foreseen | undefined {
    return this.#last.get(instanceId)?.find((foreseen) => foreseen.stepId === stepId);
  }
}

const NOTHING: Ending = { kind: "none", channel: null, reason: null };

/** The state of the current step until something happens to it. */
function waitingNow({ status, pausedReason, holdReason }: LiveInstance): Ending {
  if (pausedReason === "awaiting_approval") return { kind: "approval", channel: null, reason: "needs_approval" };
  if (status === "paused") return { kind: "pause", channel: null, reason: pausedReason };
  return holdReason === null ? NOTHING : { kind: "hold", channel: null, reason: holdReason };
}

const endingOf = ({ kind, channel, reason }: Foreseen | Ending): Ending => ({
  kind,
  channel,
  reason: kind === "touch" ? null : reason,
});

const isTouch = (ending: Foreseen | Ending): ending is Foreseen => ending.kind === "touch";

function directionOf(before: Date, after: Date): NonNullable<Change["goes"]> {
  if (+before === +after) return "at_the_same_time";
  return after < before ? "earlier" : "later";
}

const textOf = (ending: Foreseen | Ending): string => JSON.stringify("message" in ending ? ending.message : null);

const mostFrequent = (times: ReadonlyMap<number, number>): Change["times"] =>
  [...times]
    .toSorted(([one, a], [other, b]) => b - a || one - other)
    .slice(0, TIMES_SHOWN)
    .map(([at, steps]) => ({ at: new Date(at), steps }));
