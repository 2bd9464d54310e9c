import type * as z from "zod";
import { forecast } from "../lib/operate/forecast.ts";
import { allPages } from "./all-pages.ts";
import type { Operator } from "./operator.ts";

type Forecast = z.output<typeof forecast.answer>;

/** The forecast of all pages, from the first page's instant on. */
export const wholeForecast = (
  operator: Operator,
  asked: { readonly days: number; readonly workspace?: string },
): Promise<Forecast> => allPages(operator, forecast, asked, "workspaces");

/** Keeps the forecast of a period for a minute, because it reads all live sequences. Asks once at a time. */
export class RecentForecast {
  #answer: Promise<Forecast> | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;
  readonly #days: number;

  constructor(days: number) {
    this.#days = days;
  }

  get(operator: Operator): Promise<Forecast> {
    const nowMs = performance.now();
    if (this.#answer && nowMs - this.#askedMs < KEPT_MS) return this.#answer;
    const answer = wholeForecast(operator, { days: this.#days });
    this.#answer = answer;
    this.#askedMs = nowMs;
    answer.catch(() => {
      if (this.#answer === answer) this.#answer = undefined;
    });
    return answer;
  }
}

const KEPT_MS = 60_000;
