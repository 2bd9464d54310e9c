import { type Sequence, type Step, stepsFrom } from "../domain/due-item.ts";
import type { Channel } from "../domain/labels.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import { Instants, Labels } from "./columns.ts";
import type { Edit } from "./edited-sequences.ts";
import type { Foreseen } from "./future.ts";
import type { LiveInstances } from "./packed-instances.ts";

/** How a step ends in the days of a forecast; `none` if nothing happens to it. */
interface Ending {
  readonly kind: Foreseen["kind"] | "none";
  readonly channel: Channel | null;
  readonly reason: string | null;
}

/** A step without an edit and with it. */
export interface EditedStep {
  readonly before: Step;
  readonly after: Step;
  readonly isReworded: boolean;
}

/** The steps that instances have before them. The edit keeps the steps and their order. */
export class StepsAhead {
  readonly #steps: (readonly EditedStep[])[] = [];
  /** The place of each instance's first step among the steps of all. */
  readonly #firstPlaces: Uint32Array;
  /** The current wait of the first step, until something happens to it. */
  readonly #waiting: Labels;
  readonly #known = new WeakMap<Sequence, Map<number, readonly EditedStep[]>>();

  constructor(live: LiveInstances, edit: Edit) {
    this.#firstPlaces = new Uint32Array(live.length + 1);
    this.#waiting = new Labels(live.length);
    for (let index = 0; index < live.length; index += 1) {
      const instance = live.at(index);
      const [one, other] = [sequenceOf(instance), sequenceOf(instance && edit(instance))];
      const steps = instance && one && other ? this.#stepsOf(one, other, instance.candidate.position) : [];
      this.#steps.push(steps);
      this.#firstPlaces[index + 1] = (this.#firstPlaces[index] ?? 0) + steps.length;
      if (instance) this.#waiting.set(index, JSON.stringify(waitingNow(instance)));
    }
  }

  get count(): number {
    return this.#firstPlaces.at(-1) ?? 0;
  }

  /** The steps of an instance, each with its place and with what it waits for at the start. */
  *of(index: number): Generator<{ readonly step: EditedStep; readonly place: number; readonly waiting: string }> {
    const first = this.#firstPlaces[index] ?? 0;
    for (const [nth, step] of (this.#steps[index] ?? []).entries()) {
      yield { step, place: first + nth, waiting: (nth === 0 && this.#waiting.at(index)) || NOTHING };
    }
  }

  /** Undefined if it is none of them. */
  placeOf({ index, stepId }: Pick<Foreseen, "index" | "stepId">): number | undefined {
    const nth = this.#steps[index]?.findIndex(({ before }) => before.id === stepId) ?? -1;
    return nth === -1 ? undefined : (this.#firstPlaces[index] ?? 0) + nth;
  }

  /** One object for all instances at the same position. */
  #stepsOf(one: Sequence, other: Sequence, position: number): readonly EditedStep[] {
    const ofSequence = this.#known.get(one) ?? new Map<number, readonly EditedStep[]>();
    const after = stepsFrom(other, position);
    const steps =
      ofSequence.get(position) ??
      stepsFrom(one, position).flatMap((before, nth) => (after[nth] ? [edited(before, after[nth])] : []));
    this.#known.set(one, ofSequence.set(position, steps));
    return steps;
  }
}

const edited = (before: Step, after: Step): EditedStep => ({
  before,
  after,
  isReworded: wordsOf(before) !== wordsOf(after),
});

const wordsOf = ({ channel, subject, body, allow }: Step): string => JSON.stringify([channel, subject, body, allow]);

const sequenceOf = (instance: LiveInstance | undefined): Sequence | undefined =>
  instance && "item" in instance.candidate.read ? instance.candidate.read.item.sequence : undefined;

/** How a step ends, as JSON of an `Ending`, and when. */
export interface EndedStep {
  readonly label: string;
  readonly at: Date | null;
}

export const endingOf = ({ label }: EndedStep): Ending => JSON.parse(label);

/** The last thing that happens to each step, and when each instance ends. */
export class Endings {
  readonly endsAt: Instants;
  readonly #labels: Labels;
  readonly #at: Instants;

  constructor(steps: StepsAhead, instances: number, future: Iterable<Foreseen>) {
    this.endsAt = new Instants(instances);
    this.#labels = new Labels(steps.count);
    this.#at = new Instants(steps.count);
    for (const foreseen of future) {
      if (foreseen.ends) this.endsAt.set(foreseen.index, foreseen.at);
      const place = steps.placeOf(foreseen);
      if (place === undefined) continue;
      this.#labels.set(place, labelOf(foreseen));
      this.#at.set(place, foreseen.at);
    }
  }

  /** Null if nothing happens to it. */
  at(place: number): EndedStep | null {
    const label = this.#labels.at(place);
    return label === null ? null : { label, at: this.#at.at(place) };
  }
}

const labelOf = ({ kind, channel, reason }: Foreseen): string => {
  const ending: Ending = { kind, channel, reason: kind === "touch" ? null : reason };
  return JSON.stringify(ending);
};

const NOTHING = JSON.stringify({ kind: "none", channel: null, reason: null } satisfies Ending);

function waitingNow({ status, pausedReason, holdReason }: LiveInstance): Ending {
  if (pausedReason === "awaiting_approval") return { kind: "approval", channel: null, reason: "needs_approval" };
  if (status === "paused") return { kind: "pause", channel: null, reason: pausedReason };
  return { kind: holdReason === null ? "none" : "hold", channel: null, reason: holdReason };
}
