import * as z from "zod";
import { CHANNELS } from "../domain/labels.ts";
import { capDayOf } from "../domain/send-times.ts";
import type { Foreseen } from "./future.ts";

const perChannel = z.partialRecord(z.enum(CHANNELS), z.int());

/** The touches and other outcomes in the days of a forecast. Days, hours and dates are in order. */
export const foreseenCounts = z.object({
  /** Touches by local day of the workspace and channel, such as `2027-03-01`. */
  days: z.array(z.object({ day: z.string(), touches: perChannel })),
  /** Touches by hour, UTC, such as `2027-03-01T09`. */
  hours: z.array(z.object({ hour: z.string(), touches: z.int() })),
  /** Steps that are held, paused, skipped, expired or completed, by reason; the most frequent first. */
  outcomes: z.array(z.object({ kind: z.string(), reason: z.string(), steps: z.int() })),
  /** Texts that will wait for approval, and those that expire without an approval. */
  approvals: z.object({ waiting: z.int(), expiring: z.int() }),
  /** Local days on which the daily cap holds steps. */
  cappedDays: z.array(z.string()),
});

type Touches = Partial<Record<(typeof CHANNELS)[number], number>>;

/** Counts what happens, in any order. */
export class ForeseenCounts {
  readonly #days = new Map<string, Touches>();
  readonly #hours = new Map<string, number>();
  readonly #outcomes = new Map<string, { readonly kind: string; readonly reason: string; steps: number }>();
  readonly #cappedDays = new Set<string>();
  readonly #approvals = { waiting: 0, expiring: 0 };
  readonly #timeZone: string;

  /** Days are those of this zone. */
  constructor(timeZone: string) {
    this.#timeZone = timeZone;
  }

  add(foreseen: Foreseen): void {
    if (foreseen.kind === "touch") this.#addTouch(foreseen);
    else if (foreseen.kind === "approval") this.#approvals.waiting += 1;
    else if (foreseen.kind === "approval_expired") this.#approvals.expiring += 1;
    else this.#addOutcome(foreseen);
  }

  /** Passes a future through, and counts it. */
  *counting(future: Iterable<Foreseen>): Generator<Foreseen> {
    for (const foreseen of future) {
      this.add(foreseen);
      yield foreseen;
    }
  }

  #addTouch({ at, channel }: Foreseen): void {
    if (!channel) return;
    const day = capDayOf(this.#timeZone, at);
    const touches = this.#days.get(day) ?? {};
    this.#days.set(day, touches);
    touches[channel] = (touches[channel] ?? 0) + 1;
    const hour = at.toISOString().slice(0, 13);
    this.#hours.set(hour, (this.#hours.get(hour) ?? 0) + 1);
  }

  #addOutcome({ kind, at, reason }: Foreseen): void {
    const key = `${kind} ${reason}`;
    const outcome = this.#outcomes.get(key) ?? { kind, reason, steps: 0 };
    this.#outcomes.set(key, outcome);
    outcome.steps += 1;
    if (reason === "daily_cap_reached") this.#cappedDays.add(capDayOf(this.#timeZone, at));
  }

  get counts(): z.output<typeof foreseenCounts> {
    return {
      days: [...this.#days].map(([day, touches]) => ({ day, touches })).toSorted(by(({ day }) => day)),
      hours: [...this.#hours].map(([hour, touches]) => ({ hour, touches })).toSorted(by(({ hour }) => hour)),
      outcomes: [...this.#outcomes]
        .toSorted(by(([key]) => key))
        .map(([, outcome]) => outcome)
        .toSorted((one, other) => other.steps - one.steps),
      approvals: this.#approvals,
      cappedDays: [...this.#cappedDays].toSorted(),
    };
  }
}

const by =
  <Item>(keyOf: (item: Item) => string) =>
  (one: Item, other: Item): number =>
    keyOf(one) < keyOf(other) ? -1 : 1;
