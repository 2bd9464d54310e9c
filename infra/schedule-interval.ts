import { Duration } from "aws-cdk-lib";
import { valuesOfCron } from "./schedule-expression.ts";

const MINUTES: Readonly<Record<string, number>> = { minute: 1, hour: 60, day: 1440 };
const DAY = 1440;

/**
 * The shortest time between two ticks of a schedule expression that is valid. Of a cron expression it looks at hours and
 * minutes alone, as if it ticked every day.
 */
export function shortestInterval(expression: string): Duration {
  return intervalOfRate(expression) ?? Duration.minutes(Math.min(...gapsOfCron(expression, 1)));
}

/**
 * The longest time between two ticks that comes again and again: over the night, over the weekend. Never too short, but for
 * the hour by which a time zone turns its clocks; of days that are picked within a month or a year, it may be too long.
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

/** From each tick of a day to the next one, in minutes; after the last of the day that is so many days on. */
function gapsOfCron(expression: string, days: number): readonly number[] {
  const { hours, minutes } = valuesOfCron(expression);
  const ticks = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute)).sort((one, other) => one - other);
  return ticks.map((tick, index) => (ticks[index + 1] ?? (ticks[0] ?? tick) + days * DAY) - tick);
}

/** `5#1` may be five weeks after the one before. */
const MOST_WITHIN_MONTHS = 35;
const MOST_WITHIN_A_YEAR = 366;

/** At most so many days lie between one with ticks and the next. */
function daysBetweenTicks(expression: string): number {
  const [, , dayOfMonth, month] = expression.split(" ");
  if (month !== "*") return MOST_WITHIN_A_YEAR;
  if (dayOfMonth === "*") return 1;
  const { weekdays } = valuesOfCron(expression);
  const gaps = weekdays.map((day, index) => (weekdays[index + 1] ?? (weekdays[0] ?? day) + 7) - day);
  return gaps.length > 0 ? Math.max(...gaps) : MOST_WITHIN_MONTHS;
}
