import { Duration } from "aws-cdk-lib";
import { isTimeZone } from "../lib/domain/time-zone.ts";

interface CronField {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly words: readonly string[];
  /** Forms that only this field accepts, such as `L` for the last day of the month. */
  readonly special?: RegExp;
}

const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FIELDS = [
  { name: "minutes", from: 0, to: 59, words: [] },
  { name: "hours", from: 0, to: 23, words: [] },
  { name: "day of month", from: 1, to: 31, words: [], special: /^(?:\?|L|(?:[1-9]|[12]\d|3[01])W)$/ },
  { name: "month", from: 1, to: 12, words: MONTHS },
  { name: "day of week", from: 1, to: 7, words: WEEKDAYS, special: /^(?:\?|[1-7]?L|[1-7]#[1-5])$/ },
  { name: "year", from: 1970, to: 2199, words: [] },
] as const satisfies readonly CronField[];

/**
 * Returns the errors of a recurring EventBridge Scheduler expression; an empty list if it is valid.
 * CloudFormation's own checks do not read schedule expressions, so errors would appear only at deploy.
 */
export function faultsOfSchedule(expression: string): readonly string[] {
  const [, kind, body = ""] = /^(rate|cron)\((.*)\)$/.exec(expression) ?? [];
  if (kind === "rate") return faultsOfRate(body);
  if (kind === "cron") return faultsOfCron(body);
  return [`"${expression}" is neither rate(<number> <unit>) nor cron(<six fields>)`];
}

/** Whether Scheduler accepts the zone: a name such as "Europe/Berlin", not an offset such as "+01:00". */
export const isZoneOfSchedule = (zone: string): boolean => /^[A-Za-z]/.test(zone) && isTimeZone(zone);

/** Sorted hours and minutes at which a valid cron expression ticks, and its weekdays if it names them (Sunday is 1). */
function valuesOfCron(expression: string): {
  readonly hours: readonly number[];
  readonly minutes: readonly number[];
  readonly weekdays: readonly number[];
} {
  const [minutes = "", hours = "", , , weekdays = ""] = expression.slice("cron(".length).split(" ");
  const [minuteField, hourField, , , weekdayField] = FIELDS;
  return {
    minutes: valuesOfField(minuteField, minutes),
    hours: valuesOfField(hourField, hours),
    weekdays: valuesOfField(weekdayField, weekdays),
  };
}

function valuesOfField(field: CronField, text: string): readonly number[] {
  const all = Array.from({ length: field.to - field.from + 1 }, (_, index) => field.from + index);
  return all.filter((value) => text.split(",").some((item) => isInItem(field, item, value)));
}

/** `5`, `1-5`, `0/15` (from 0 to the end, every 15), `*`. */
function isInItem(field: CronField, item: string, value: number): boolean {
  const [range = "", step] = item.split("/");
  const [first = "", last] = range === "*" ? [String(field.from), String(field.to)] : range.split("-");
  const from = valueIn(field, first) ?? Number.NaN;
  const to = last !== undefined ? (valueIn(field, last) ?? Number.NaN) : step !== undefined ? field.to : from;
  return value >= from && value <= to && (value - from) % Number(step ?? 1) === 0;
}

function faultsOfRate(body: string): readonly string[] {
  const [, number = "", unit = ""] = /^([1-9]\d*) (minute|hour|day)s?$/.exec(body) ?? [];
  if (number === "")
    return [`"rate(${body})" must look like rate(1 minute), rate(5 minutes), rate(2 hours) or rate(1 day)`];
  const wanted = `${number} ${unit}${number === "1" ? "" : "s"}`;
  return body === wanted ? [] : [`"rate(${body})" must be written rate(${wanted})`];
}

function faultsOfCron(body: string): readonly string[] {
  const parts = body.split(" ");
  if (parts.length !== FIELDS.length) {
    return [
      `"cron(${body})" must have six fields (${FIELDS.map((field) => field.name).join(", ")}) separated by single spaces`,
    ];
  }
  const faults = FIELDS.flatMap((field, at) => faultsOfField(field, parts[at] ?? ""));
  const [, , dayOfMonth, , dayOfWeek] = parts;
  if ((dayOfMonth === "?") === (dayOfWeek === "?")) {
    faults.push(`"cron(${body})" must have "?" in exactly one of day of month and day of week`);
  }
  return faults;
}

function faultsOfField(field: CronField, text: string): string[] {
  if (field.special?.test(text)) return [];
  const wrong = text.split(",").filter((item) => !isItem(field, item));
  return wrong.map(
    (item) => `cron field "${field.name}": "${item}" is not in ${field.from}-${field.to}${wordsOf(field)}`,
  );
}

function isItem(field: CronField, item: string): boolean {
  const [range = "", step, ...rest] = item.split("/");
  if (rest.length > 0 || (step !== undefined && !/^[1-9]\d*$/.test(step))) return false;
  if (range === "*") return true;
  const [first = "", last, ...more] = range.split("-");
  if (more.length > 0) return false;
  const from = valueIn(field, first);
  const to = last === undefined ? from : valueIn(field, last);
  return from !== undefined && to !== undefined && from <= to;
}

function valueIn(field: CronField, text: string): number | undefined {
  const word = field.words.indexOf(text.toUpperCase());
  const value = word >= 0 ? field.from + word : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return value >= field.from && value <= field.to ? value : undefined;
}

function wordsOf({ words }: CronField): string {
  return words.length === 0 ? "" : ` or ${words[0]}-${words.at(-1)}`;
}

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
