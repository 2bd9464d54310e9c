import { Duration } from "aws-cdk-lib";
import { valuesOfCron } from "./schedule-expression.ts";

const MINUTES: Readonly<Record<string, number>> = { minute: 1, hour: 60, day: 1440 };
const DAY = 1440;

/**
 * The shortest time between two ticks of a schedule expression that is valid. Of a cron expression it looks at hours and
 * minutes alone, as if it ticked every day.
 */
export function shortestInterval(expression: string): Duration {
  const [, number, unit = ""] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  if (number !== undefined) return Duration.minutes(Number(number) * (MINUTES[unit] ?? 1));
  const { hours, minutes } = valuesOfCron(expression);
  const ticks = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute)).sort((one, other) => one - other);
  const gaps = ticks.map((tick, index) => (ticks[index + 1] ?? (ticks[0] ?? tick) + DAY) - tick);
  return Duration.minutes(Math.min(...gaps));
}
