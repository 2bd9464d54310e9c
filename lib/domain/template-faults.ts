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
  const lookalike = quoted === undefined ? undefined : lookalikeIn(quoted);
  const hints = [lookalike && `it contains ${lookalike.name}`, hint].filter(Boolean).map((each) => `; ${each}`);
  return `${words}${hints.join("")} (line ${line}, column ${column})`;
}

const LONGEST_QUOTE = 80;

/** Truncates long text. Quotes it unless it is a plain name. */
function shortened(text: string): string {
  const short = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  return /^[\w.-]+$/.test(short) ? short : JSON.stringify(short);
}

/** Characters that word processors and chat programs put in the place of plain ones, or that cannot be seen. */
const LOOKALIKES: readonly (readonly [name: string, characters: RegExp])[] = [
  ["a typographic quotation mark", /[\u2018-\u201f\u2032-\u2036\u0060\u00b4\uff02\uff07]/],
  ["an invisible character", /[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/],
  ["a full-width character", /[\uff01\uff05\uff08-\uff0e\uff1a\uff1c-\uff1e\uff5b-\uff5d]/],
];
const ANY_LOOKALIKE = new RegExp(LOOKALIKES.map(([, { source }]) => source).join("|"));

interface Lookalike {
  readonly index: number;
  /** Such as `a typographic quotation mark (U+201C)`. */
  readonly name: string;
}

/** The first character in a text that looks like a plain one, or like nothing. */
export function lookalikeIn(text: string): Lookalike | undefined {
  const { 0: found, index } = ANY_LOOKALIKE.exec(text) ?? {};
  if (found === undefined || index === undefined) return undefined;
  const [name] = LOOKALIKES.find(([, characters]) => characters.test(found)) ?? [];
  return { index, name: `${name} (U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")})` };
}

/** Collects the faults of one text. */
export class TemplateFaults {
  readonly #all: TemplateFault[] = [];
  readonly #lineStarts: number[] = [0];

  constructor(text: string) {
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) this.#lineStarts.push(end + 1);
  }

  /** In order of position. */
  get all(): readonly TemplateFault[] {
    return this.#all.toSorted((one, other) => one.line - other.line || one.column - other.column);
  }

  /** `index` is the position in the text, from 0. */
  add(index: number, what: string, more: { readonly quoted?: string; readonly hint?: string } = {}): void {
    this.#all.push({ what, ...more, ...this.positionOf(index) });
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
