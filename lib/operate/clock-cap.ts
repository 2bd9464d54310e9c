import type { AheadForCap, WorkspaceFacts } from "../domain/due-item.ts";
import { capDayEnd } from "../domain/send-times.ts";
import { MINUTE_MS } from "../domain/time-zone.ts";
import { ENDS_BY_TIME } from "../store/candidates.ts";
import type { Walk } from "./walking.ts";

const HOUR_MS = 60 * MINUTE_MS;

/** A day of the cap. */
interface CapDay {
  readonly end: number;
  /** The steps that are decided again on this day. */
  readonly held: HeldSteps;
  used: number;
}

/** The daily cap of a workspace on the virtual clock, and the steps that wait for it. */
export class ClockCap {
  readonly #workspace: WorkspaceFacts;
  readonly #from: Date;
  /** The end of the last day: a step that comes back after the forecast, but on that day, still has its place. */
  readonly #lastEnd: Date;
  readonly #days: CapDay[] = [];
  /** The day on which each instance waits; -1 if it does not. */
  readonly #dayOf: Int16Array;
  /** In milliseconds: since when it waits, and when it is decided again. */
  readonly #since: Float64Array;
  readonly #comesBack: Float64Array;
  /** The last one: most decisions of a day see the same. */
  #seen: WorkspaceFacts;

  constructor(workspace: WorkspaceFacts, from: Date, until: Date, instances: number) {
    this.#workspace = workspace;
    this.#seen = workspace;
    this.#from = from;
    this.#lastEnd = capDayEnd(workspace.timeZone, until);
    this.#dayOf = new Int16Array(instances).fill(-1);
    this.#since = new Float64Array(instances);
    this.#comesBack = new Float64Array(instances);
  }

  /** Notes where the instance waits now. */
  follow(index: number, { status, holdReason, heldSince, nextStepDue }: Walk): void {
    this.forget(index);
    if (this.#workspace.dailyCap === null || heldSince === null || nextStepDue >= this.#lastEnd) return;
    if (status !== "active" || holdReason === null || !ENDS_BY_TIME.includes(holdReason)) return;
    const day = this.#numberOfDay(nextStepDue);
    this.#dayOf[index] = day;
    this.#since[index] = heldSince.getTime();
    this.#comesBack[index] = nextStepDue.getTime();
    this.#days[day]?.held.add(index);
  }

  forget(index: number): void {
    const day = this.#dayOf[index] ?? -1;
    if (day === -1) return;
    this.#days[day]?.held.delete(index);
    this.#dayOf[index] = -1;
  }

  use(now: Date): void {
    if (this.#workspace.dailyCap !== null) this.#dayAt(now).used += 1;
  }

  /** The workspace with what is used of its cap on that day. */
  workspaceAt(now: Date): WorkspaceFacts {
    if (this.#workspace.dailyCap === null) return this.#workspace;
    const dailyCapUsed = this.#dayAt(now).used;
    if (this.#seen.dailyCapUsed !== dailyCapUsed) this.#seen = { ...this.#workspace, dailyCapUsed };
    return this.#seen;
  }

  /**
   * For a step that is decided now: the held steps that have waited longer and may still use the day's cap, as a claim
   * reads them.
   */
  queueAt(now: Date): (decided: WaitingStep) => AheadForCap | undefined {
    const { dailyCap } = this.#workspace;
    if (dailyCap === null) return () => undefined;
    const { held, used } = this.#dayAt(now);
    return used < dailyCap ? (decided) => held.ahead(decided, dailyCap - used, now) : () => undefined;
  }

  /**
   * Returns what a step waits for if the cap holds it now: infinity for the next day, or the time at which the last older
   * step with a place before it comes back. Null if there is a place for it.
   */
  waitsFor(decided: WaitingStep, now: Date, aheadOf: ReturnType<ClockCap["queueAt"]>): number | null {
    const { dailyCap } = this.#workspace;
    if (dailyCap === null) return null;
    const left = dailyCap - this.#dayAt(now).used;
    if (left <= 0) return Number.POSITIVE_INFINITY;
    const ahead = aheadOf(decided);
    return ahead && ahead.steps >= left ? ahead.until.getTime() : null;
  }

  #dayAt(now: Date): CapDay {
    const day = this.#days[this.#numberOfDay(now)];
    if (!day) throw new RangeError("a time outside the forecast");
    return day;
  }

  #numberOfDay(at: Date): number {
    const time = at.getTime();
    let day = this.#days.findIndex(({ end }) => time < end);
    while (day === -1) {
      const last = this.#days.at(-1);
      const end = capDayEnd(this.#workspace.timeZone, last ? new Date(last.end) : this.#from).getTime();
      const used = last ? 0 : this.#workspace.dailyCapUsed;
      const next = this.#days.push({ end, used, held: new HeldSteps(this.#since, this.#comesBack) }) - 1;
      if (time < end) day = next;
    }
    return day;
  }
}

/** When a step is due, and since when it waits; null if it does not. */
type WaitingStep = Pick<Walk, "heldSince" | "nextStepDue">;

/** Held steps, the oldest first, and at most `limit`. */
interface Queue {
  readonly limit: number;
  readonly since: number[];
  /** The latest time at which a step up to this one comes back. */
  readonly lastBack: number[];
  /** When the first of them comes back. */
  firstBack: number;
}

/** Held steps, kept in hours of `since`, so that the oldest are found without sorting all. */
class HeldSteps {
  readonly #since: Float64Array;
  readonly #comesBack: Float64Array;
  readonly #hours: number[] = [];
  readonly #ofHour = new Map<number, Set<number>>();
  /** Those that were found last; undefined if others are the oldest now. */
  #found: Queue | undefined;

  constructor(since: Float64Array, comesBack: Float64Array) {
    this.#since = since;
    this.#comesBack = comesBack;
  }

  add(index: number): void {
    this.#forgetFound(index);
    const hour = this.#hourOf(index);
    const others = this.#ofHour.get(hour);
    if (others) others.add(index);
    else {
      this.#ofHour.set(hour, new Set([index]));
      this.#hours.splice(countBelow(this.#hours, hour), 0, hour);
    }
  }

  delete(index: number): void {
    this.#forgetFound(index);
    const hour = this.#hourOf(index);
    const others = this.#ofHour.get(hour);
    others?.delete(index);
    if (others?.size !== 0) return;
    this.#ofHour.delete(hour);
    this.#hours.splice(countBelow(this.#hours, hour), 1);
  }

  /** The steps that have waited longer and are decided again after `now`, at most `limit`. */
  ahead({ heldSince, nextStepDue }: WaitingStep, limit: number, now: Date): AheadForCap | undefined {
    const known = this.#found;
    const isValid = known && known.limit >= limit && known.firstBack > now.getTime();
    const { since, lastBack } = isValid ? known : this.#oldest(limit, now.getTime());
    const steps = Math.min(limit, countBelow(since, (heldSince ?? nextStepDue).getTime()));
    return steps === 0 ? undefined : { steps, until: new Date(lastBack[steps - 1] ?? 0) };
  }

  #oldest(limit: number, now: number): Queue {
    const found: Queue = { limit, since: [], lastBack: [], firstBack: Number.POSITIVE_INFINITY };
    this.#found = found;
    let last = 0;
    for (const hour of this.#hours) {
      for (const index of this.#inOrder(this.#ofHour.get(hour))) {
        const comesBack = this.#comesBack[index] ?? 0;
        if (comesBack <= now) continue;
        last = Math.max(last, comesBack);
        found.firstBack = Math.min(found.firstBack, comesBack);
        found.since.push(this.#since[index] ?? 0);
        found.lastBack.push(last);
        if (found.since.length === limit) return found;
      }
    }
    return found;
  }

  /** Unless a step is younger than all that were found. */
  #forgetFound(index: number): void {
    const { limit = 0, since = [] } = this.#found ?? {};
    const isYounger = since.length === limit && (this.#since[index] ?? 0) > (since.at(-1) ?? 0);
    if (!isYounger) this.#found = undefined;
  }

  #inOrder(held: ReadonlySet<number> | undefined): Iterable<number> {
    if (held === undefined || held.size === 1) return held ?? [];
    return [...held].sort((one, other) => (this.#since[one] ?? 0) - (this.#since[other] ?? 0) || one - other);
  }

  #hourOf(index: number): number {
    return Math.floor((this.#since[index] ?? 0) / HOUR_MS);
  }
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
