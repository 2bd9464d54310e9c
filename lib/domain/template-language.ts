import {
  AssertionError,
  type Comparable,
  type Context,
  Drop,
  defaultOperators,
  type FilterImplOptions,
  filters,
  Liquid,
  type Operators,
  toValue,
} from "liquidjs";
import { Temporal } from "temporal-polyfill";

/**
 * Limit in characters for a template, for its rendered text, and for the total size of all values that one rendering
 * reads and creates. Intermediate values therefore cannot exceed it either.
 */
export const LONGEST_TEXT = 100_000;

/** The allowed tags. None loops or copies text. */
export const TAGS: ReadonlySet<string> = new Set(["assign", "case", "comment", "if", "raw", "unless"]);

interface FilterRule {
  /** The number of arguments. */
  readonly least: number;
  readonly most: number;
}
const takes = (least: number, most = least): FilterRule => ({ least, most });

/** The allowed filters. Each is linear in its input; output is at most a few times the size of input and arguments. */
export const FILTERS: ReadonlyMap<string, FilterRule> = new Map([
  ["append", takes(1)],
  ["capitalize", takes(0)],
  ["date", takes(0, 1)],
  ["default", takes(1)],
  ["downcase", takes(0)],
  ["escape", takes(0)],
  ["first", takes(0)],
  ["last", takes(0)],
  ["prepend", takes(1)],
  ["remove", takes(1)],
  ["replace", takes(2)],
  ["split", takes(1)],
  ["strip", takes(0)],
  ["truncate", takes(0, 2)],
  ["truncatewords", takes(0, 2)],
  ["upcase", takes(0)],
  ["url_encode", takes(0)],
]);

/** Whether a value counts as empty in a condition: nothing, blank text, `nil`, `empty`, `blank` or a missing value. */
const isNothing = (value: unknown): boolean =>
  value === null || value === undefined || value instanceof Drop || (typeof value === "string" && value.trim() === "");

/**
 * A value that the lead lacks. Filters pass it on, `default` replaces it, and an output reports its name. In a
 * condition it is empty: false, equal to nothing but other empty values, and neither less nor greater than any value.
 */
export class Missing extends Drop implements Comparable {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }

  override valueOf(): null {
    return null;
  }

  /** Properties of a missing value, such as `size`, are missing too. */
  override liquidMethodMissing(): this {
    return this;
  }

  equals(other: unknown): boolean {
    return isNothing(other);
  }
  gt(): boolean {
    return false;
  }
  geq(): boolean {
    return false;
  }
  lt(): boolean {
    return false;
  }
  leq(): boolean {
    return false;
  }
}

/** The names of missing values that the outputs of a rendering need, by the values given to LiquidJS. */
export const missingNames = new WeakMap<object, Set<string>>();

const RESULT_OF = "a result of the filter ";
/** Whether a missing value is what a filter left of a value, and so depends on the lead. */
export const isFilterResult = (name: string): boolean => name.startsWith(RESULT_OF);

/** Whether LiquidJS threw because of the size limit. A checked template violates no other assertion. */
export const isTooMuch = (thrown: unknown): boolean =>
  thrown instanceof Error && "originalError" in thrown && thrown.originalError instanceof AssertionError;

type Filter = Extract<FilterImplOptions, (...given: never[]) => unknown>;
type InFilter = ThisParameterType<Filter>;

/** LiquidJS also charges this limiter before it creates the result of `append` or `replace`. */
const use = (context: Context, work: number): void => context.memoryLimit.use(1 + work);

const sizeOf = (value: unknown): number => {
  if (typeof value === "string") return value.length;
  return Array.isArray(value) ? value.reduce<number>((sum, each) => sum + 1 + sizeOf(each), 0) : 1;
};

/** The worst case of V8's string search: one pass over the text per hundred characters of the pattern. */
const searchWork = (text: unknown, pattern: unknown): number => sizeOf(text) * Math.ceil(sizeOf(pattern) / 100);

const NAME_IN_DATE = /%[^%a-z]*[aAbBchxXZ]/gi;
/** `date` gets names of days and months from `Intl`, which costs as much as thousands of characters. */
const dateWork = (format: unknown): number =>
  5_000 * (typeof format === "string" ? (format.match(NAME_IN_DATE)?.length ?? 0) : 2);

function workOf(filter: string, value: unknown, args: readonly unknown[]): number {
  const sizes = sizeOf(value) + args.reduce<number>((sum, each) => sum + sizeOf(each), 0);
  if (filter === "date") return sizes + dateWork(args[0]);
  return filter === "replace" || filter === "remove" || filter === "split" ? sizes + searchWork(value, args[0]) : sizes;
}

/**
 * `date` without a clock and without the zone of the machine, so that a text stays the same between its approval and
 * its sending. Takes ISO 8601 and keeps the local time as written; anything else, such as `now`, is no date.
 */
function date(this: InFilter, value: unknown, ...args: unknown[]): unknown {
  const parsed = typeof value === "string" ? dateIn(value) : undefined;
  return parsed === undefined ? undefined : dateOfLiquid.apply(this, [`${parsed}Z`, ...args]);
}

const dateOfLiquid = filters["date"] as Filter;

/** An ISO 8601 date or time without its zone; undefined for any other text. */
export function dateIn(text: string): string | undefined {
  try {
    return Temporal.PlainDateTime.from(text.trim().replace(/z$/i, "")).toString();
  } catch {
    return undefined;
  }
}

/** Wraps a filter to limit its work and result. Missing values pass through. A value of which nothing is left is missing. */
function limited(name: string, filter: Filter): Filter {
  return function (this: InFilter, given: unknown, ...args: unknown[]): unknown {
    const missing = [given, ...args].find((value) => value instanceof Missing);
    if (missing && name !== "default") return missing;
    // `url_encode` throws on a lone surrogate.
    const value = typeof given === "string" ? given.toWellFormed() : given;
    use(this.context, workOf(name, value, args));
    const result: unknown = filter.apply(this, [value, ...args]) ?? "";
    use(this.context, sizeOf(result));
    return name !== "default" && isNothing(result) && !isNothing(value) ? new Missing(RESULT_OF + name) : result;
  };
}

/** Converts an output value to text. LiquidJS calls it as the last filter of each output. */
function written(this: InFilter, value: unknown): string {
  if (value instanceof Missing) {
    missingNames.get(this.context.environments)?.add(value.name);
    return "";
  }
  const plain: unknown = toValue(value);
  const text = plain === null || plain === undefined ? "" : String(plain);
  use(this.context, text.length);
  return text;
}

const isMissing = (value: unknown): boolean => value instanceof Missing;

const contains = (text: unknown, part: unknown, context: Context): boolean => {
  if (isMissing(text) || isMissing(part) || typeof text !== "string") return false;
  use(context, text.length + searchWork(text, part));
  return text.includes(String(toValue(part)));
};

/** Charges for both operands, because a comparison reads both. */
function comparison(name: string): [string, Operators[string]] {
  const compare = defaultOperators[name];
  if (!compare) throw new Error(`LiquidJS has no operator ${name}`);
  return [
    name,
    (left: unknown, right: unknown, context: Context) => {
      use(context, sizeOf(left) + sizeOf(right));
      // LiquidJS asks the left side first, and its `empty` does not equal a missing value.
      const swaps = isMissing(right) && (name === "==" || name === "!=");
      return swaps ? compare(right, left, context) : compare(left, right, context);
    },
  ];
}

const operators: Operators = {
  ...defaultOperators,
  ...Object.fromEntries(["==", "!=", "<", ">", "<=", ">="].map(comparison)),
  contains,
};

/** LiquidJS reduced to the template language. The limits above bound the rendering time. */
export const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  // Fixed, so that the text does not depend on the machine's locale.
  locale: "en-US",
  timezoneOffset: 0,
  // Prevents file access.
  templates: {},
  parseLimit: LONGEST_TEXT,
  memoryLimit: LONGEST_TEXT,
  operators,
  outputEscape: written,
});

for (const name of Object.keys(liquid.tags)) if (!TAGS.has(name)) delete liquid.tags[name];
for (const name of Object.keys(liquid.filters)) {
  const filter = name === "date" ? date : filters[name];
  if (FILTERS.has(name) && typeof filter === "function") liquid.registerFilter(name, limited(name, filter));
  else liquid.unregisterFilter(name);
}
