import { Duration } from "aws-cdk-lib";
import { valuesOfCron } from "./schedule-expression.ts";

const MINUTES: Readonly<Record<string, number>> = { minute: 1, hour: 60, day: 1440 };
const DAY = 1440;

/** The shortest time between two ticks of a valid expression. A cron expression counts as if it ticked every day. */
export function shortestInterval(expression: string): Duration {
  return intervalOfRate(expression) ?? Duration.minutes(Math.min(...gapsOfCron(expression, 1)));
}

/**
 * The longest regular time between two ticks, such as a night or a weekend. It ignores the hour of a clock change.
 * It may be too long if the expression picks days of a month or months of a year.
 */
export function longestInterval(expression: string): Duration {
  return (
    intervalOfRate(expression) ?? Duration.minutes(Math.max(...gapsOfCron(expression, daysBetweenTicks(expression))))
  );
}

function intervalOfRate(expression: string): Duration | undefined {
  const [, number, unit = ""] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  return number === undefined ? undefined : Duration.minutes(Number(number) * (MINUTES[unit] ?? 1));
}

/** Minutes from each tick of a day to the next tick. The last tick is followed by the first, `days` later. */
function gapsOfCron(expression: string, days: number): readonly number[] {
  const { hours, minutes } = valuesOfCron(expression);
  const ticks = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute)).sort((one, other) => one - other);
  return ticks.map((tick, index) => (ticks[index + 1] ?? (ticks[0] ?? tick) + days * DAY) - tick);
}

/** Two dates of `5#1` may be five weeks apart. */
const MOST_WITHIN_MONTHS = 35;
const MOST_WITHIN_A_YEAR = 366;

/** Upper bound of the days from one day with ticks to the next. */
function daysBetweenTicks(expression: string): number {
  const [, , dayOfMonth, month] = expression.split(" ");
  if (month !== "*") return MOST_WITHIN_A_YEAR;
  if (dayOfMonth === "*") return 1;
  const { weekdays } = valuesOfCron(expression);
  const gaps = weekdays.map((day, index) => (weekdays[index + 1] ?? (weekdays[0] ?? day) + 7) - day);
  return gaps.length > 0 ? Math.max(...gaps) : MOST_WITHIN_MONTHS;
}
