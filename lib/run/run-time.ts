import type { StepName } from "./request.ts";

/** Of the time of a run, what the steps before the digests leave to them, however much is due. */
const SHARE_OF_DIGESTS = 0.1;

/** Of the time that is left when it begins, what a step may take at most, so that none keeps those after it from their work. */
const SHARES: Readonly<Partial<Record<StepName, number>>> = {
  "resume-snoozed": 0.25,
  "resume-ghosted": 0.25,
  "resume-awaiting-enrichment": 0.25,
  "recover-touches": 0.5,
};

interface Bounds {
  /** Milliseconds until the invocation is cut off. */
  readonly remainingMs: () => number;
  readonly safetyMarginMs: number;
  /** False once no new work may be started. */
  readonly goesOn: () => boolean;
}

/** Shares the time of a run between its steps. */
export class RunTime {
  readonly #bounds: Bounds;
  readonly #forDigestsMs: number;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#forDigestsMs = SHARE_OF_DIGESTS * Math.max(0, bounds.remainingMs() - bounds.safetyMarginMs);
  }

  /** How much time a step that begins now has left, in milliseconds, whenever it asks; less than 0: none. */
  leftOf(step: StepName): () => number {
    const keptMs = step === "notification-digests" ? 0 : this.#forDigestsMs + this.#keptFrom(step);
    return () => (this.#bounds.goesOn() ? this.#leftBefore(keptMs) : Number.NEGATIVE_INFINITY);
  }

  /** Whether it is over for all steps but the digests. */
  get isOver(): boolean {
    return this.#leftBefore(this.#forDigestsMs) < 0;
  }

  #keptFrom(step: StepName): number {
    return Math.max(0, this.#leftBefore(this.#forDigestsMs)) * (1 - (SHARES[step] ?? 1));
  }

  #leftBefore(keptMs: number): number {
    return this.#bounds.remainingMs() - this.#bounds.safetyMarginMs - keptMs;
  }
}
