import { createReadStream } from "node:fs";
import { CsvError, parse } from "csv-parse/sync";

export type CsvRow = {
  /** The row's first line. Counts from 1. */
  readonly line: number;
} & ({ readonly cells: readonly string[] } | { readonly fault: string });

/** The longest text of a CRM has 131,072 characters (Salesforce's long text area). */
export const LONGEST_ROW = 256 * 1024;

const QUOTES = "a quote is not closed, or a quote inside a cell is not doubled";
const TOO_LONG = `is longer than ${LONGEST_ROW} characters`;

/** The cells of a row without surrounding blanks, or undefined if its quotes are broken. */
export function cellsOf(text: string, delimiter: string): readonly string[] | undefined {
  // Starting the library for each row takes most of the time of an import.
  if (!text.includes('"')) return text.split(delimiter).map((cell) => cell.trim());
  try {
    // The quotes are checked already. A quote inside an unquoted cell is text, as in `="0171"`.
    const [cells] = parse(text, { delimiter, trim: true, relax_quotes: true });
    return cells ?? [""];
  } catch (thrown) {
    if (thrown instanceof CsvError) return undefined;
    throw thrown;
  }
}

/**
 * Splits lines into rows. A quoted cell may contain line breaks. A quote that is not closed within the file and the
 * longest row, or is closed inside a cell, makes only its line invalid. The next line starts a row. Skips blank lines.
 */
export async function* rowsOf(lines: AsyncIterator<Line>, delimiter: string): AsyncGenerator<CsvRow> {
  const ahead = new LinesAhead(lines);
  for (let first = await ahead.at(0); first !== undefined; first = await ahead.at(0)) {
    const { number: line } = first;
    const { text, count } = await rowAt(ahead, delimiter);
    ahead.drop(count);
    if (text?.trim() === "") continue;
    const cells = text === undefined ? undefined : cellsOf(text, delimiter);
    yield cells ? { line, cells } : { line, fault: "fault" in first ? first.fault : QUOTES };
  }
}

interface RowText {
  /** Undefined if the row is broken. */
  readonly text: string | undefined;
  /** Lines that the row occupies; 1 if it is broken. */
  readonly count: number;
}

async function rowAt(ahead: LinesAhead, delimiter: string): Promise<RowText> {
  const parts: string[] = [];
  let length = 0;
  let quotes: Quotes = "closed";
  for (;;) {
    const line = await ahead.at(parts.length);
    if (line === undefined || "fault" in line) break;
    quotes = quotesAfter(line.text, delimiter, quotes);
    parts.push(line.text);
    length += line.text.length + 1;
    if (quotes === "closed") return { text: parts.join("\n"), count: parts.length };
    if (quotes === "broken" || length > LONGEST_ROW) break;
  }
  return { text: undefined, count: 1 };
}

type Quotes = "closed" | "open" | "broken";

/** Whether a quoted cell is still open after this line. */
function quotesAfter(line: string, delimiter: string, before: Quotes): Quotes {
  if (before === "closed" && !line.includes('"')) return "closed";
  let place = before === "open" ? 0 : quotedStart(line, 0);
  for (;;) {
    if (place === -1) return "closed";
    const end = closingQuote(line, place);
    if (end === -1) return "open";
    const after = line.slice(end + 1).search(/[^ ]/);
    if (after === -1) return "closed";
    if (line[end + 1 + after] !== delimiter) return "broken";
    place = quotedStart(line, end + 1 + after + 1);
  }

  /** The place after the opening quote of the next quoted cell; -1 if there is none. */
  function quotedStart(text: string, cellStart: number): number {
    for (let start = cellStart; ; ) {
      const first = start + (/^ */.exec(text.slice(start))?.[0].length ?? 0);
      if (text[first] === '"') return first + 1;
      const next = text.indexOf(delimiter, start);
      if (next === -1) return -1;
      start = next + 1;
    }
  }
}

function closingQuote(line: string, from: number): number {
  for (let quote = line.indexOf('"', from); quote !== -1; quote = line.indexOf('"', quote + 2)) {
    if (line[quote + 1] !== '"') return quote;
  }
  return -1;
}

/** A queue of lines that were read to find the end of a row. */
class LinesAhead {
  readonly #lines: AsyncIterator<Line>;
  #queue: Line[] = [];

  constructor(lines: AsyncIterator<Line>) {
    this.#lines = lines;
  }

  async at(place: number): Promise<Line | undefined> {
    while (this.#queue.length <= place) {
      const next = await this.#lines.next();
      if (next.done) return undefined;
      this.#queue.push(next.value);
    }
    return this.#queue[place];
  }

  drop(count: number): void {
    this.#queue = this.#queue.slice(count);
  }
}

export type Line = { readonly number: number } & ({ readonly text: string } | { readonly fault: string });

/** A carriage return at the end of a part does not end the line yet: a line feed may follow in the next part. */
const LINE_END = /\r\n|\n|\r(?!$)/;

/** Splits text into lines. A line that is longer than the longest row is not kept in memory. */
export async function* linesOf(parts: AsyncIterable<string>): AsyncGenerator<Line, undefined> {
  let number = 1;
  let rest = "";
  let isTooLong = false;
  const take = (text: string): Line =>
    isTooLong || text.length > LONGEST_ROW
      ? { number: number++, fault: TOO_LONG }
      : { number: number++, text: text.replace(/\r$/, "") };
  for await (const part of parts) {
    const lines = `${rest}${part}`.split(LINE_END);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      yield take(line);
      isTooLong = false;
    }
    if (rest.length > LONGEST_ROW) {
      isTooLong = true;
      rest = rest.endsWith("\r") ? "\r" : "";
    }
  }
  if (rest !== "" || isTooLong) yield take(rest);
  return undefined;
}

export type Encoding = "utf-8" | "utf-16le" | "utf-16be" | "windows-1252";

/**
 * Detects the encoding of a file. Without a byte order mark, text that is not UTF-8 is Windows-1252. If some of it is
 * UTF-8, only its broken characters are replaced by U+FFFD. Returns a fault for workbooks, other binary files and
 * other encodings.
 */
export async function detectEncoding(path: string): Promise<Encoding | { readonly fault: string }> {
  const decoder = new TextDecoder();
  const found = { isStart: true, replaced: false, multiByte: false, otherCodePage: false, isUtf8: true };
  const strict = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    if (found.isStart) {
      const known = encodingByStart(chunk);
      if (known) return known;
      found.isStart = false;
    }
    if (chunk.includes(0)) return { fault: NOT_TEXT };
    found.isUtf8 &&= isValid(strict, chunk);
    found.multiByte ||= /[^\0-\x7f\ufffd]/.test(decoder.decode(chunk, { stream: true }));
    found.otherCodePage ||= OTHER_CODE_PAGE.test(chunk.toString("latin1"));
  }
  if (found.isUtf8 || found.multiByte) return "utf-8";
  return found.otherCodePage ? { fault: UNKNOWN } : "windows-1252";
}

/** The text of the file in parts, without a byte order mark. */
export async function* decodedParts(path: string, encoding: Encoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>)
    yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

const NOT_TEXT = "it is not a text file; save it as CSV UTF-8";
const WORKBOOK = "it is a spreadsheet file, not CSV; save it as CSV UTF-8";
const UNKNOWN = "its encoding is neither UTF-8, UTF-16 nor Windows-1252; save it as CSV UTF-8";

/** Four accented letters in a row, or a byte that Windows-1252 does not define: no Western European text. */
const OTHER_CODE_PAGE = /[\u00c0-\u00ff]{4}|[\u0081\u008d\u008f\u0090\u009d]/;

const BYTE_ORDER_MARKS: readonly (readonly [string, Encoding])[] = [
  ["efbbbf", "utf-8"],
  ["fffe", "utf-16le"],
  ["feff", "utf-16be"],
];
/** ZIP, as in .xlsx, and the compound file of .xls. */
const WORKBOOKS = ["504b0304", "d0cf11e0a1b11ae1"];

function encodingByStart(chunk: Buffer): Encoding | { readonly fault: string } | undefined {
  const start = chunk.subarray(0, 8).toString("hex");
  if (WORKBOOKS.some((magic) => start.startsWith(magic))) return { fault: WORKBOOK };
  const marked = BYTE_ORDER_MARKS.find(([mark]) => start.startsWith(mark));
  return marked ? marked[1] : utf16WithoutMark(chunk);
}

/** In UTF-16, every second byte of an English heading is zero. */
function utf16WithoutMark(chunk: Buffer): Encoding | undefined {
  const heading = chunk.subarray(0, 64);
  const zeros = [0, 0];
  for (const [index, byte] of heading.entries()) if (byte === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (even + odd < heading.length / 4) return undefined;
  return odd > even ? "utf-16le" : "utf-16be";
}

function isValid(strict: InstanceType<typeof TextDecoder>, chunk: Buffer): boolean {
  try {
    strict.decode(chunk, { stream: true });
    return true;
  } catch {
    return false;
  }
}
