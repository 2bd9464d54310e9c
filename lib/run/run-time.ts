import type { StepName } from "./request.ts";

/** Share of a run's time reserved for the digests, however much is due. */
const SHARE_OF_DIGESTS = 0.1;

/** Most of the time left at its start that a step may use, so that later steps get their time. */
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
  /** False once no new work may start. */
  readonly goesOn: () => boolean;
}

/** Divides the time of a run between its steps. */
export class RunTime {
  readonly #bounds: Bounds;
  readonly #forDigestsMs: number;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
    this.#forDigestsMs = SHARE_OF_DIGESTS * Math.max(0, bounds.remainingMs() - bounds.safetyMarginMs);
  }

  /** Returns a function for the milliseconds left to a step that begins now; negative: none. */
  leftOf(step: StepName): () => number {
    const keptMs = step === "notification-digests" ? 0 : this.#forDigestsMs + this.#keptFrom(step);
    return () => (this.#bounds.goesOn() ? this.#leftBefore(keptMs) : Number.NEGATIVE_INFINITY);
  }

  /** True once the time of all steps but the digests is over. */
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
