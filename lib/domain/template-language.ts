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

/**
 * A value that the lead lacks. Filters pass it on, `default` replaces it, conditions treat it as false, and an output
 * reports its name.
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

  /** Properties of a missing value, such as `size`, are missing too. */
  override liquidMethodMissing(): this {
    return this;
  }
}

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

/** Wraps a filter to limit its work and result. Missing values pass through. */
function limited(name: string, filter: Filter): Filter {
  return function (this: InFilter, given: unknown, ...args: unknown[]): unknown {
    const missing = [given, ...args].find((value) => value instanceof Missing);
    if (missing && name !== "default") return missing;
    // `url_encode` throws on a lone surrogate.
    const value = typeof given === "string" ? given.toWellFormed() : given;
    use(this.context, workOf(name, value, args));
    const result: unknown = filter.apply(this, [value, ...args]) ?? "";
    use(this.context, sizeOf(result));
    return result;
  };
}

/** Converts an output value to text. LiquidJS calls it as the last filter of each output. */
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

/** Charges for both operands, because a comparison reads both. */
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

/** LiquidJS reduced to the template language. The limits above bound the rendering time. */
export const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  ownPropertyOnly: true,
  // Fixed, so that the text does not depend on the machine's locale.
  locale: "en-US",
  // Prevents file access.
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

/** An error in a template, with its position. */
export interface TemplateFault {
  /** The error. Never quotes the template, so it may be logged and stored. */
  readonly what: string;
  /** The faulty text from the template. For its author only. */
  readonly quoted?: string;
  /** The suggested correction. */
  readonly hint?: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** For reports and logs: kind and position, without template text. */
export const withoutText = ({ what, line, column }: TemplateFault): string => `${what}, line ${line}, column ${column}`;

/** For the author of the template only: quotes it. */
export function forAuthor({ what, quoted, hint, line, column }: TemplateFault): string {
  const words = quoted === undefined ? what : `${what} ${shortened(quoted)}`;
  return `${words}${hint === undefined ? "" : `; ${hint}`} (line ${line}, column ${column})`;
}

const LONGEST_QUOTE = 80;

/** Truncates long text. Quotes it unless it is a plain name. */
function shortened(text: string): string {
  const short = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  return /^[\w.-]+$/.test(short) ? short : JSON.stringify(short);
}

/** Collects the faults of one text. */
export class TemplateFaults {
  readonly all: TemplateFault[] = [];
  readonly #lineStarts: number[] = [0];

  constructor(text: string) {
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) this.#lineStarts.push(end + 1);
  }

  /** `index` is the position in the text, from 0. */
  add(index: number, what: string, more: { readonly quoted?: string; readonly hint?: string } = {}): void {
    this.all.push({ what, ...more, ...this.positionOf(index) });
  }

  positionOf(index: number): { readonly line: number; readonly column: number } {
    let [line, above] = [1, this.#lineStarts.length];
    while (line < above) {
      const middle = Math.ceil((line + above) / 2);
      if ((this.#lineStarts[middle - 1] ?? 0) <= index) line = middle;
      else above = middle - 1;
    }
    return { line, column: index - (this.#lineStarts[line - 1] ?? 0) + 1 };
  }
}
