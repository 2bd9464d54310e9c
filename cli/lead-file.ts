import { createReadStream } from "node:fs";
import { CsvError, parse } from "csv-parse/sync";
import { LEAD_COLUMNS, LEAD_KEYS, type LeadKey } from "../lib/domain/lead-columns.ts";
import { Problem } from "./problem.ts";

/** One row of a file: a parsed lead that is not validated yet, or the reason why the row is broken. */
export interface LeadRow {
  /** Counts from 1, including the heading. */
  readonly line: number;
  /** The cells as written, without the columns that an import adds. Empty if the row is broken. */
  readonly cells: readonly string[];
  readonly read: { readonly lead: Readonly<Record<string, string>> } | { readonly fault: string };
}

export interface LeadFile {
  readonly heading: readonly string[];
  readonly rows: AsyncIterable<LeadRow>;
}

/** A heading in lower case, without spaces, hyphens and underscores. */
const plainName = (heading: string): string => heading.toLowerCase().replaceAll(/[\s_-]/g, "");

const COLUMNS: ReadonlyMap<string, LeadKey> = new Map(
  LEAD_KEYS.flatMap((key) => {
    const { column, aliases = [] } = LEAD_COLUMNS[key];
    return [column, ...aliases].map((name) => [plainName(name), key] as const);
  }),
);
/** The columns that an import adds to each row. Ignored when a verdict file is imported. */
export const ADDED = ["line", "verdict", "reason"];

/**
 * Streams a CSV file row by row. A row is one line, so that an unclosed quote breaks one row only. Throws a Problem if
 * the file does not exist or its heading is invalid.
 */
export async function openLeadFile(path: string): Promise<LeadFile> {
  const lines = linesOf(path);
  const first = (await lines.next().catch(toProblem(path))).value;
  const heading = first && "text" in first ? cellsOf(first.text.replace(/^\u{feff}/u, "")) : undefined;
  const columns = columnsOf(path, heading ?? []);
  const own = (cells: readonly string[]) => cells.filter((_, index) => columns[index] !== undefined);
  return { heading: own(heading ?? []), rows: rowsOf(lines, columns, own) };
}

type Columns = readonly (LeadKey | undefined)[];

function columnsOf(path: string, heading: readonly string[]): Columns {
  const plain = heading.map(plainName);
  const columns = plain.map((name) => COLUMNS.get(name));
  const unknown = heading.filter((_, index) => !columns[index] && !ADDED.includes(plain[index] ?? ""));
  const twice = columns.filter((column, index) => column && columns.indexOf(column) !== index);
  const faults = [
    ...unknown.map((name) => `there is no column ${JSON.stringify(name.slice(0, 80))}`),
    ...twice.map((column) => `${column} occurs twice`),
    ...(columns.includes("email") || columns.includes("externalId") ? [] : ["email or external_id is needed"]),
  ];
  if (faults.length === 0) return columns;
  throw new Problem(
    `the heading of ${path} is invalid: ${faults.join("; ")}. It is one line of comma-separated column names. ` +
      `The columns are ${LEAD_KEYS.map((key) => LEAD_COLUMNS[key].column).join(", ")}`,
  );
}

async function* rowsOf(
  lines: AsyncIterable<Line>,
  columns: Columns,
  own: (cells: readonly string[]) => readonly string[],
): AsyncGenerator<LeadRow> {
  for await (const { number: line, ...found } of lines) {
    if ("fault" in found) {
      yield { line, cells: [], read: found };
      continue;
    }
    if (found.text.trim() === "") continue;
    const cells = cellsOf(found.text);
    const fault = cells && faultOf(cells, columns);
    if (!cells || fault) yield { line, cells: [], read: { fault: fault ?? QUOTES } };
    else yield { line, cells: own(cells), read: { lead: leadOf(cells, columns) } };
  }
}

const QUOTES = "a quote is not closed on its line, or a quote inside a cell is not doubled";

function faultOf(cells: readonly string[], columns: Columns): string | undefined {
  if (cells.length !== columns.length) return `has ${cells.length} cells; the heading has ${columns.length}`;
  return cells.some((cell) => cell.includes("\u{fffd}")) ? "is not UTF-8 text" : undefined;
}

/** Omits empty cells. */
const leadOf = (cells: readonly string[], columns: Columns): Readonly<Record<string, string>> =>
  Object.fromEntries(
    columns.flatMap((column, index) => {
      const cell = withoutEscape(cells[index] ?? "");
      return column && cell !== "" ? [[column, cell]] : [];
    }),
  );

/** Removes the formula escape, so that a verdict file can be corrected and imported again. */
const withoutEscape = (cell: string): string => cell.replace(/^'(?=[=+\-@])/, "");

function cellsOf(line: string): readonly string[] | undefined {
  try {
    const [cells] = parse(line, { trim: true });
    return cells ?? [""];
  } catch (thrown) {
    if (thrown instanceof CsvError) return undefined;
    throw thrown;
  }
}

type Line = { readonly number: number } & ({ readonly text: string } | { readonly fault: string });

/** Far above any real row. A longer line is not kept in memory. */
const LONGEST_LINE = 64 * 1024;
/** A carriage return at the end of a chunk does not end the line yet: a line feed may follow in the next chunk. */
const LINE_END = /\r\n|\n|\r(?!$)/;

async function* linesOf(path: string): AsyncGenerator<Line, undefined> {
  let number = 1;
  let rest = "";
  let isTooLong = false;
  const take = (text: string): Line =>
    isTooLong || text.length > LONGEST_LINE
      ? { number: number++, fault: `is longer than ${LONGEST_LINE} characters` }
      : { number: number++, text: text.replace(/\r$/, "") };
  for await (const chunk of createReadStream(path, "utf8")) {
    const parts = `${rest}${chunk}`.split(LINE_END);
    rest = parts.pop() ?? "";
    for (const part of parts) {
      yield take(part);
      isTooLong = false;
    }
    if (rest.length > LONGEST_LINE) {
      isTooLong = true;
      rest = rest.endsWith("\r") ? "\r" : "";
    }
  }
  if (rest !== "" || isTooLong) yield take(rest);
  return undefined;
}

const toProblem = (path: string) => (cause: NodeJS.ErrnoException) => {
  const reason = { ENOENT: "the file does not exist", EISDIR: "it is a folder" }[cause.code ?? ""] ?? cause.code;
  throw reason ? new Problem(`${path} cannot be read: ${reason}`, { cause }) : cause;
};
