import * as z from "zod";
import type { DueItem } from "../domain/due-item.ts";
import { CHANNELS } from "../domain/labels.ts";
import { render } from "../domain/templates.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import type { StoredSteps } from "../store/stored-sequences.ts";
import type { Edit } from "./edited-sequences.ts";
import { type EditedStep, type EndedStep, Endings, endingOf, StepsAhead } from "./endings.ts";
import type { Foreseen } from "./future.ts";
import { isoInstant } from "./operation.ts";
import type { LiveInstances } from "./packed-instances.ts";

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
type Change = Effect["changes"][number];

const TIMES_SHOWN = 3;

interface Counted extends Omit<Change, "steps" | "times"> {
  steps: number;
  readonly times: Map<number, number>;
}

/** Starts a future. What it needs is free again once it was read. */
type StartFuture = () => Iterable<Foreseen>;

/** Compares two futures of groups of instances, group by group. */
export class EffectCounts {
  readonly #changes = new Map<string, Counted>();
  readonly #ends = { earlier: 0, later: 0, added: 0, removed: 0 };
  readonly #stored: StoredSteps;

  constructor(stored: StoredSteps) {
    this.#stored = stored;
  }

  /** Compares what happens to these instances without the edit and with it. */
  add(live: LiveInstances, edit: Edit, before: StartFuture, after: StartFuture): void {
    const steps = new StepsAhead(live, edit);
    const [one, other] = [new Endings(steps, live.length, before()), new Endings(steps, live.length, after())];
    for (let index = 0; index < live.length; index += 1) {
      this.#compareEnds(one.endsAt.at(index), other.endsAt.at(index));
      for (const { step, place, waiting } of steps.of(index)) {
        const now = { label: waiting, at: null };
        const item = () => itemOf(live.at(index));
        this.#compare(step, item, one.at(place) ?? now, other.at(place) ?? now);
      }
    }
  }

  get effect(): Effect {
    const sorted = [...this.#changes].toSorted(([one, a], [other, b]) => b.steps - a.steps || (one < other ? -1 : 1));
    return {
      changes: sorted.map(([, counted]) => ({ ...counted, times: mostFrequent(counted.times) })),
      ends: this.#ends,
    };
  }

  #compare(step: EditedStep, item: () => DueItem | undefined, before: EndedStep, after: EndedStep): void {
    const isSame = before.label === after.label;
    if (isSame && before.at?.getTime() === after.at?.getTime() && !step.isReworded) return;
    const ends = { before: endingOf(before), after: endingOf(after) };
    const goes = ends.before.kind === "touch" && ends.after.kind === "touch" ? directionOf(before, after) : null;
    const otherText = goes !== null && step.isReworded && readsOtherwise(step, item());
    if (isSame && (goes ?? "at_the_same_time") === "at_the_same_time" && !otherText) return;
    const { sequence = "", key = "" } = this.#stored.get(step.before.id) ?? {};
    const change = { sequence, step: key, ...ends, goes, otherText };
    this.#count(change, ends.after.kind === "touch" ? after.at : null);
  }

  /** `at`: when the touch goes after the edit; null if none goes. */
  #count(change: Omit<Counted, "steps" | "times">, at: Date | null): void {
    const key = JSON.stringify(change);
    const counted: Counted = this.#changes.get(key) ?? { ...change, steps: 0, times: new Map() };
    this.#changes.set(key, counted);
    counted.steps += 1;
    if (at) counted.times.set(+at, (counted.times.get(+at) ?? 0) + 1);
  }

  #compareEnds(before: Date | null, after: Date | null): void {
    if (before && after) {
      if (after < before) this.#ends.earlier += 1;
      else if (after > before) this.#ends.later += 1;
    } else if (after) this.#ends.added += 1;
    else if (before) this.#ends.removed += 1;
  }
}

const itemOf = (instance: LiveInstance | undefined): DueItem | undefined =>
  instance && "item" in instance.candidate.read ? instance.candidate.read.item : undefined;

function directionOf({ at: before }: EndedStep, { at: after }: EndedStep): NonNullable<Change["goes"]> {
  const [one, other] = [before?.getTime() ?? 0, after?.getTime() ?? 0];
  if (one === other) return "at_the_same_time";
  return other < one ? "earlier" : "later";
}

/** Whether the step has another text for this lead. */
const readsOtherwise = ({ before, after }: EditedStep, item: DueItem | undefined): boolean =>
  item !== undefined &&
  JSON.stringify(render(before, item.lead, item.workspace)) !==
    JSON.stringify(render(after, item.lead, item.workspace));

const mostFrequent = (times: ReadonlyMap<number, number>): Change["times"] =>
  [...times]
    .toSorted(([one, a], [other, b]) => b - a || one - other)
    .slice(0, TIMES_SHOWN)
    .map(([at, steps]) => ({ at: new Date(at), steps }));
