import { contextOf } from "../domain/rule-context.ts";
import { expiryOf } from "../domain/rules.ts";
import type { Plan } from "../run/claim-ports.ts";
import { Instants, Labels } from "./columns.ts";

/**
 * The steps that the cap held when they were last decided on the virtual clock. If all of it is for older steps again,
 * those of one time zone that wait for the same older ones are held until the same opening, if their lead was not reached
 * since and their time to live is not over: the rules before the cap read nothing else that changes, or only pass with
 * time. So one decision for all of them is enough.
 */
export class CapHolds {
  readonly #heldAt: Instants;
  readonly #expiresAt: Instants;
  readonly #zone: Labels;
  /** Until when steps are held that are decided at `#now`, by what they wait for and by their zone. */
  readonly #until = new Map<number, Map<string | null, Date>>();
  #now = Number.NaN;

  constructor(instances: number) {
    this.#heldAt = new Instants(instances);
    this.#expiresAt = new Instants(instances);
    this.#zone = new Labels(instances);
  }

  /** Notes a decision on a step that waits for this. */
  note(index: number, { candidate: { read }, decision, state }: Plan, now: Date, waitsFor: number | null): void {
    const isHeld = decision.reason === "daily_cap_reached" && state.status === "active" && "item" in read;
    this.#heldAt.set(index, isHeld ? now : null);
    if (!isHeld) return;
    const { timeZone } = read.item.lead;
    this.#expiresAt.set(index, expiryOf(contextOf(read.item, now)));
    this.#zone.set(index, timeZone);
    if (waitsFor === null) return;
    if (this.#now !== now.getTime()) this.#until.clear();
    this.#now = now.getTime();
    const ofZone = this.#until.get(waitsFor) ?? new Map<string | null, Date>();
    this.#until.set(waitsFor, ofZone.set(timeZone, state.nextStepDue));
  }

  /**
   * Until when a step is held again that is due now and waits for this; undefined if that takes a decision. `touchedAt`:
   * when its lead was last reached on the virtual clock, in milliseconds; NaN if it was not.
   */
  heldAgainUntil(index: number, now: Date, waitsFor: number | null, touchedAt: number): Date | undefined {
    if (waitsFor === null || this.#now !== now.getTime() || !this.isHeld(index)) return undefined;
    const isReachedSince = touchedAt >= this.#heldAt.timeAt(index);
    if (isReachedSince || this.#expiresAt.timeAt(index) <= this.#now) return undefined;
    return this.#until.get(waitsFor)?.get(this.#zone.at(index));
  }

  /** Whether the cap held the step when it was last decided. */
  isHeld(index: number): boolean {
    return !Number.isNaN(this.#heldAt.timeAt(index));
  }
}
