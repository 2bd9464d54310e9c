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
