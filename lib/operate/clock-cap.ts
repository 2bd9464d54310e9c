import type { AheadForCap, WorkspaceFacts } from "../domain/due-item.ts";
import { capDayEnd, capDayOf } from "../domain/send-times.ts";
import { ENDS_BY_TIME } from "../store/candidates.ts";
import type { Walking } from "./walking.ts";

/** The daily cap of one workspace on the virtual clock, and the steps that wait for it. */
export class ClockCap {
  readonly #usedOfDay = new Map<string, number>();
  readonly #held = new Map<string, Walking>();
  readonly #from: Date;

  constructor(from: Date) {
    this.#from = from;
  }

  /** Notes where the instance waits now. */
  follow(walking: Walking): void {
    const { status, holdReason, id, item } = walking;
    const waits = status === "active" && holdReason !== null && ENDS_BY_TIME.includes(holdReason);
    if (waits && item.workspace.dailyCap !== null) this.#held.set(id, walking);
    else this.#held.delete(id);
  }

  forget(id: string): void {
    this.#held.delete(id);
  }

  use(workspace: WorkspaceFacts, now: Date): void {
    if (workspace.dailyCap === null) return;
    this.#usedOfDay.set(capDayOf(workspace.timeZone, now), this.#used(workspace, now) + 1);
  }

  /** The workspace with what is used of its cap on that day. */
  of(workspace: WorkspaceFacts, now: Date): WorkspaceFacts {
    return workspace.dailyCap === null ? workspace : { ...workspace, dailyCapUsed: this.#used(workspace, now) };
  }

  #used({ timeZone, dailyCapUsed }: WorkspaceFacts, now: Date): number {
    const day = capDayOf(timeZone, now);
    return this.#usedOfDay.get(day) ?? (day === capDayOf(timeZone, this.#from) ? dailyCapUsed : 0);
  }

  /**
   * For each of the decided steps, the held steps that may still use the cap of the day and have waited longer, as a
   * claim reads them.
   */
  queueFor(decided: readonly Walking[], now: Date): (walking: Walking) => AheadForCap | undefined {
    const queue = this.#queue(decided, now);
    return ({ heldSince, nextStepDue }) => {
      const older = queue.filter((held) => held.heldSince !== null && held.heldSince < (heldSince ?? nextStepDue));
      if (older.length === 0) return undefined;
      return { steps: older.length, until: new Date(Math.max(...older.map((held) => held.nextStepDue.getTime()))) };
    };
  }

  #queue(decided: readonly Walking[], now: Date): readonly Walking[] {
    const [first] = decided;
    if (!first || first.item.workspace.dailyCap === null) return [];
    const { dailyCap, timeZone } = first.item.workspace;
    const left = dailyCap - this.#used(first.item.workspace, now);
    if (left <= 0) return [];
    const end = capDayEnd(timeZone, now);
    const ids = new Set(decided.map(({ id }) => id));
    return [...this.#held.values()]
      .filter((held) => !ids.has(held.id) && held.nextStepDue < end)
      .toSorted((one, other) => Number(one.heldSince) - Number(other.heldSince))
      .slice(0, left);
  }
}
