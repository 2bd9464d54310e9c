import type { AheadForCap, WorkspaceFacts } from "../domain/due-item.ts";
import { capDayEnd, capDayOf } from "../domain/send-times.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import { ENDS_BY_TIME } from "../store/candidates.ts";
import type { Walking } from "./walking.ts";

/** The daily cap of one workspace on the virtual clock, and the steps that wait for it. */
export class ClockCap {
  readonly #usedOfDay = new Map<string, number>();
  /** The held steps, by the day on which they are decided again. */
  readonly #days: { readonly end: number; readonly held: HeldSteps }[] = [];
  readonly #dayOf = new Map<string, HeldSteps>();
  /** The last object for each workspace: most decisions of a day see the same. */
  readonly #seen = new Map<WorkspaceFacts, WorkspaceFacts>();
  readonly #from: Date;
  readonly #until: Date;
  /** The end of the last day: a step that comes back after the forecast, but on that day, still has its place. */
  #lastEnd: Date | undefined;

  constructor(from: Date, until: Date) {
    this.#from = from;
    this.#until = until;
  }

  /** Notes where the instance waits now. */
  follow(walking: Walking): void {
    this.forget(walking.id);
    const { status, holdReason, heldSince, nextStepDue, id, item } = walking;
    if (item.workspace.dailyCap === null || heldSince === null) return;
    this.#lastEnd ??= capDayEnd(item.workspace.timeZone, this.#until);
    if (nextStepDue >= this.#lastEnd) return;
    if (status !== "active" || holdReason === null || !ENDS_BY_TIME.includes(holdReason)) return;
    const day = this.#heldOn(item.workspace, nextStepDue);
    day.add({ id, since: heldSince.getTime(), comesBack: nextStepDue.getTime() });
    this.#dayOf.set(id, day);
  }

  forget(id: string): void {
    this.#dayOf.get(id)?.delete(id);
    this.#dayOf.delete(id);
  }

  use(workspace: WorkspaceFacts, now: Date): void {
    if (workspace.dailyCap === null) return;
    this.#usedOfDay.set(capDayOf(workspace.timeZone, now), this.#used(workspace, now) + 1);
  }

  /** The workspace with what is used of its cap on that day. */
  of(workspace: WorkspaceFacts, now: Date): WorkspaceFacts {
    if (workspace.dailyCap === null) return workspace;
    const dailyCapUsed = this.#used(workspace, now);
    const known = this.#seen.get(workspace);
    if (known?.dailyCapUsed === dailyCapUsed) return known;
    const seen = { ...workspace, dailyCapUsed };
    this.#seen.set(workspace, seen);
    return seen;
  }

  #used({ timeZone, dailyCapUsed }: WorkspaceFacts, now: Date): number {
    const day = capDayOf(timeZone, now);
    return this.#usedOfDay.get(day) ?? (day === capDayOf(timeZone, this.#from) ? dailyCapUsed : 0);
  }

  /**
   * For a step that is decided now: the held steps that have waited longer and may still use the day's cap, as a claim
   * reads them. Finds them when they are first needed.
   */
  queueAt(workspace: WorkspaceFacts, now: Date): (decided: Walking) => AheadForCap | undefined {
    const { dailyCap } = workspace;
    const left = dailyCap === null ? 0 : dailyCap - this.#used(workspace, now);
    if (left <= 0) return () => undefined;
    let found: Queue | undefined;
    return ({ heldSince, nextStepDue }) => {
      found ??= this.#heldOn(workspace, now).oldest(left, now.getTime());
      const steps = countBelow(found.since, (heldSince ?? nextStepDue).getTime());
      return steps === 0 ? undefined : { steps, until: new Date(found.lastBack[steps - 1] ?? 0) };
    };
  }

  #heldOn({ timeZone }: WorkspaceFacts, at: Date): HeldSteps {
    const time = at.getTime();
    let day = this.#days.find(({ end }) => time < end);
    while (day === undefined) {
      const end = capDayEnd(timeZone, new Date(this.#days.at(-1)?.end ?? this.#from.getTime())).getTime();
      const next = { end, held: new HeldSteps() };
      this.#days.push(next);
      if (time < end) day = next;
    }
    return day.held;
  }
}

/** A held step, in milliseconds: since when, and when it is decided again. */
interface Held {
  readonly id: string;
  readonly since: number;
  readonly comesBack: number;
}

/** Held steps, the oldest first: since when each waits, and the latest `comesBack` up to it. */
interface Queue {
  readonly since: number[];
  readonly lastBack: number[];
}

/** Held steps, kept in minutes of `since`, so that the oldest are found without sorting all. */
class HeldSteps {
  readonly #minutes: number[] = [];
  readonly #ofMinute = new Map<number, Map<string, Held>>();
  readonly #minuteOf = new Map<string, number>();

  add(held: Held): void {
    const minute = Math.floor(held.since / MINUTE_MS);
    this.#minuteOf.set(held.id, minute);
    const others = this.#ofMinute.get(minute);
    if (others) others.set(held.id, held);
    else {
      this.#ofMinute.set(minute, new Map([[held.id, held]]));
      this.#minutes.splice(countBelow(this.#minutes, minute), 0, minute);
    }
  }

  delete(id: string): void {
    const minute = this.#minuteOf.get(id);
    if (minute === undefined) return;
    this.#minuteOf.delete(id);
    const others = this.#ofMinute.get(minute);
    others?.delete(id);
    if (others?.size !== 0) return;
    this.#ofMinute.delete(minute);
    this.#minutes.splice(countBelow(this.#minutes, minute), 1);
  }

  /** At most `limit` steps that are decided again after `now`. */
  oldest(limit: number, now: number): Queue {
    const queue: Queue = { since: [], lastBack: [] };
    let last = 0;
    for (const minute of this.#minutes) {
      for (const { since, comesBack } of inOrder(this.#ofMinute.get(minute))) {
        if (comesBack <= now) continue;
        last = Math.max(last, comesBack);
        queue.since.push(since);
        queue.lastBack.push(last);
        if (queue.since.length === limit) return queue;
      }
    }
    return queue;
  }
}

function inOrder(held: ReadonlyMap<string, Held> | undefined): Iterable<Held> {
  if (held === undefined || held.size === 1) return held?.values() ?? [];
  return [...held.values()].sort((one, other) => one.since - other.since || (one.id < other.id ? -1 : 1));
}

/** The number of values below this one, of values in order. */
function countBelow(values: readonly number[], value: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((values[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
