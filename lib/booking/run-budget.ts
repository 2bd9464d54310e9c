import type { CallBudget } from "./port.ts";

/** The limits of one connection's turn. */
export interface TurnLimits {
  readonly callsPerTurn: number;
  readonly turnMs: number;
}

/** The calls and the time of a run. */
export class RunBudget {
  #calls: number;
  readonly #signal: AbortSignal;

  constructor(calls: number, ms: number) {
    this.#calls = calls;
    this.#signal = AbortSignal.timeout(Math.max(0, Math.floor(ms)));
  }

  isSpent(): boolean {
    return this.#calls <= 0 || this.#signal.aborted;
  }

  /** No connection takes the calls or the time of all. */
  forTurn({ callsPerTurn, turnMs }: TurnLimits): CallBudget {
    let left = callsPerTurn;
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(turnMs)]);
    return { signal, take: () => left-- > 0 && this.#calls-- > 0 };
  }
}
