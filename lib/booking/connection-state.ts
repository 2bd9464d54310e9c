import { SWEEP_WINDOWS, type SweepWindow } from "../domain/labels.ts";
import type { SweepFault } from "../domain/sweeps.ts";
import { MINUTE_MS, minutesAfter } from "../domain/time-zone.ts";
import type { SweepSettings } from "./eligibility.ts";
import { concernsAll, SweepMemory, type SweepResult } from "./sweep.ts";

const LONGEST_PAUSE_MINUTES = 60;
/** Tolerance: a tick that comes a little early still sweeps. */
const EARLY_MS = MINUTE_MS / 2;

interface WindowState {
  dueAt: Date;
  /** Consecutive failed sweeps. */
  failures: number;
  /** The fault of the latest sweep. */
  fault: SweepFault | null;
}

interface Settled {
  readonly window: SweepWindow;
  readonly begun: Date;
  readonly result: SweepResult;
  /** It ran out of its budget and goes on at the next turn. */
  readonly goesOn: boolean;
}

/** The state of a connection in the memory of the process. A new process sweeps everything. */
export class ConnectionState {
  readonly memory = new SweepMemory();
  /** False while it has no token for the API. */
  sweeps = true;
  #lastTurn = 0;
  readonly #windows = new Map<SweepWindow, WindowState>();

  /** The windows that are due, the hot one first. */
  due(now: Date): readonly SweepWindow[] {
    return SWEEP_WINDOWS.filter((window) => +(this.#windows.get(window)?.dueAt ?? now) <= +now + EARLY_MS);
  }

  /** When its latest turn began, with any outcome; 0 before the first. The smallest has its turn first. */
  get lastTurn(): number {
    return this.#lastTurn;
  }

  get isFailing(): boolean {
    return [...this.#windows.values()].some(({ failures }) => failures > 0);
  }

  /** Whether a window failed for another reason than unreadable meetings. */
  get isBroken(): boolean {
    return [...this.#windows.values()].some(({ failures, fault }) => failures > 0 && fault !== "unread_meetings");
  }

  /** It receives webhooks only, until its secret gets a token. */
  rest(now: Date, { hotMinutes }: SweepSettings): void {
    this.sweeps = false;
    this.#lastTurn = +now;
    for (const window of SWEEP_WINDOWS)
      this.#windows.set(window, { dueAt: minutesAfter(now, hotMinutes), failures: 0, fault: null });
  }

  /**
   * Notes a sweep. After a fault, the window pauses for twice as long each time, an hour at most. It pauses for its
   * usual time if only meetings of the list could not be read. If the tool names a time, both windows wait for it,
   * also an hour at most.
   */
  settle({ window, begun, result, goesOn }: Settled, { hotMinutes, warmMinutes }: SweepSettings): void {
    this.sweeps = true;
    this.#lastTurn = +begun;
    const interval = window === "hot" ? hotMinutes : warmMinutes;
    if (result.fault === null || goesOn) {
      this.#windows.set(window, { dueAt: goesOn ? begun : minutesAfter(begun, interval), failures: 0, fault: null });
      return;
    }
    const failures = (this.#windows.get(window)?.failures ?? 0) + 1;
    // The list could be read, so the tool works: only meetings with a fault wait.
    const isListed = result.fault === "unread_meetings" || (!concernsAll(result.fault) && result.seen > 0);
    const longest = isListed ? Math.min(interval, LONGEST_PAUSE_MINUTES) : LONGEST_PAUSE_MINUTES;
    const pause = Math.min(hotMinutes * 2 ** (failures - 1), longest);
    this.#windows.set(window, { dueAt: minutesAfter(begun, pause), failures, fault: result.fault });
    if (result.until) this.#waitUntil(Math.min(+result.until, +minutesAfter(begun, LONGEST_PAUSE_MINUTES)), begun);
  }

  #waitUntil(until: number, begun: Date): void {
    for (const window of SWEEP_WINDOWS) {
      const { dueAt, ...state } = this.#windows.get(window) ?? { dueAt: begun, failures: 0, fault: null };
      this.#windows.set(window, { ...state, dueAt: new Date(Math.max(+dueAt, until)) });
    }
  }
}
