import {
  AssertionError,
  type Context,
  Drop,
  defaultOperators,
  type FilterImplOptions,
  filters,
  Liquid,
  type Operators,
  toValue,
} from "liquidjs";

/**
 * In characters: the longest template, the longest text that comes of one, and the sum of the sizes of all values that one
 * rendering reads and makes. So no value in between is longer either.
 */
export const LONGEST_TEXT = 100_000;

/** The tags that begin something. None of them repeats anything, and none copies text. */
export const TAGS: ReadonlySet<string> = new Set(["assign", "case", "comment", "if", "raw", "unless"]);

interface FilterRule {
  /** How many arguments it takes. */
  readonly least: number;
  readonly most: number;
}
const takes = (least: number, most = least): FilterRule => ({ least, most });

/** The filters of the language. Each is linear in its input, and none makes more than a few times its input and arguments. */
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

/**
 * Stands for a value that the lead lacks. A filter passes it on, `default` replaces it, a condition takes it for false, and
 * an output reports it by name.
 */
export class Missing extends Drop {
  readonly #name: string;
  readonly #report: (name: string) => void;

  constructor(name: string, report: (name: string) => void) {
    super();
    this.#name = name;
    this.#report = report;
  }

  reportName(): void {
    this.#report(this.#name);
  }

  override valueOf(): null {
    return null;
  }

  /** A property of a missing value, such as its size, is missing as well. */
  override liquidMethodMissing(): this {
    return this;
  }
}

/** Whether LiquidJS threw this because the limit was reached: a checked template breaks no other assertion. */
export const isTooMuch = (thrown: unknown): boolean =>
  thrown instanceof Error && "originalError" in thrown && thrown.originalError instanceof AssertionError;

type Filter = Extract<FilterImplOptions, (...given: never[]) => unknown>;
type InFilter = ThisParameterType<Filter>;

/** LiquidJS counts in this limiter too, before it makes the result of `append` or `replace`. */
const use = (context: Context, work: number): void => context.memoryLimit.use(1 + work);

const sizeOf = (value: unknown): number => {
  if (typeof value === "string") return value.length;
  return Array.isArray(value) ? value.reduce<number>((sum, each) => sum + 1 + sizeOf(each), 0) : 1;
};

/** A search reads its text once per hundred characters of what it looks for: that is the worst case of V8's search. */
const searchWork = (text: unknown, pattern: unknown): number => sizeOf(text) * Math.ceil(sizeOf(pattern) / 100);

const NAME_IN_DATE = /%[^%a-z]*[aAbBchxXZ]/gi;
/** `date` asks `Intl` for names of days and months, which takes as long as thousands of characters do. */
const dateWork = (format: unknown): number =>
  5_000 * (typeof format === "string" ? (format.match(NAME_IN_DATE)?.length ?? 0) : 2);

function workOf(filter: string, value: unknown, args: readonly unknown[]): number {
  const sizes = sizeOf(value) + args.reduce<number>((sum, each) => sum + sizeOf(each), 0);
  if (filter === "date") return sizes + dateWork(args[0]);
  return filter === "replace" || filter === "remove" || filter === "split" ? sizes + searchWork(value, args[0]) : sizes;
}

/** The filter with limits on its work and its result; a missing value passes through. */
function limited(name: string, filter: Filter): Filter {
  return function (this: InFilter, given: unknown, ...args: unknown[]): unknown {
    const missing = [given, ...args].find((value) => value instanceof Missing);
    if (missing && name !== "default") return missing;
    // `url_encode` throws on half a surrogate pair.
    const value = typeof given === "string" ? given.toWellFormed() : given;
    use(this.context, workOf(name, value, args));
    const result: unknown = filter.apply(this, [value, ...args]) ?? "";
    use(this.context, sizeOf(result));
    return result;
  };
}

/** Turns the value of an output into text. LiquidJS calls it as the last filter of each output. */
function written(this: InFilter, value: unknown): string {
  if (value instanceof Missing) {
    value.reportName();
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

/** Comparing two texts reads both. */
function comparison(name: string): [string, Operators[string]] {
  const compare = defaultOperators[name];
  if (!compare) throw new Error(`LiquidJS has no operator ${name}`);
  return [
    name,
    (left: unknown, right: unknown, context: Context) => {
      use(context, sizeOf(left) + sizeOf(right));
      return compare(left, right, context);
    },
  ];
}

const operators: Operators = {
  ...defaultOperators,
  ...Object.fromEntries(["==", "!=", "<", ">", "<=", ">="].map(comparison)),
  contains,
};

/** LiquidJS with nothing in it but the language. Rendering takes a time that is bounded by the limits above. */
export const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  // The machine's locale would make the text depend on where it is sent from.
  locale: "en-US",
  // No template reads a file.
  templates: {},
  parseLimit: LONGEST_TEXT,
  memoryLimit: LONGEST_TEXT,
  operators,
  outputEscape: written,
});

for (const name of Object.keys(liquid.tags)) if (!TAGS.has(name)) delete liquid.tags[name];
for (const name of Object.keys(liquid.filters)) {
  const filter = filters[name];
  if (FILTERS.has(name) && typeof filter === "function") liquid.registerFilter(name, limited(name, filter));
  else liquid.unregisterFilter(name);
}
