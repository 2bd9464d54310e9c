import { createReadStream } from "node:fs";
import { CsvError, parse } from "csv-parse/sync";
import type { LeadToEnrol } from "../lib/run/intake/facts.ts";
import { Problem } from "./problem.ts";

/** One row of a file, as a lead if it is none that is broken; it has not been checked in any other way. */
export interface LeadRow {
  /** Counted from 1, the heading included. */
  readonly line: number;
  /** As they stand, without what an import added; none where the row is broken. */
  readonly cells: readonly string[];
  readonly read: { readonly lead: Readonly<Record<string, string>> } | { readonly fault: string };
}

export interface LeadFile {
  readonly heading: readonly string[];
  readonly rows: AsyncIterable<LeadRow>;
}

/** How the columns may be called, without capitals, spaces, hyphens and underscores. */
const COLUMNS: Readonly<Record<string, keyof LeadToEnrol>> = {
  externalid: "externalId",
  email: "email",
  firstname: "firstName",
  lastname: "lastName",
  company: "company",
  phone: "phone",
  linkedin: "linkedinUrl",
  linkedinurl: "linkedinUrl",
  timezone: "timeZone",
};
/** What an import adds to each row: of no meaning when its file comes again. */
export const ADDED = ["line", "verdict", "reason"];

/**
 * Reads a CSV file row by row, in as much memory as one row takes. A row is one line, so that a quote that is not closed breaks
 * no other. Throws a Problem where there is no such file, or its heading is wrong.
 */
export async function openLeadFile(path: string): Promise<LeadFile> {
  const lines = linesOf(path);
  const first = (await lines.next().catch(toProblem(path))).value;
  const heading = first && "text" in first ? cellsOf(first.text.replace(/^\u{feff}/u, "")) : undefined;
  const columns = columnsOf(path, heading ?? []);
  const own = (cells: readonly string[]) => cells.filter((_, index) => columns[index] !== undefined);
  return { heading: own(heading ?? []), rows: rowsOf(lines, columns, own) };
}

type Columns = readonly (keyof LeadToEnrol | undefined)[];

function columnsOf(path: string, heading: readonly string[]): Columns {
  const plain = heading.map((name) => name.toLowerCase().replaceAll(/[\s_-]/g, ""));
  const columns = plain.map((name) => COLUMNS[name]);
  const unknown = heading.filter((_, index) => !columns[index] && !ADDED.includes(plain[index] ?? ""));
  const twice = columns.filter((column, index) => column && columns.indexOf(column) !== index);
  const faults = [
    ...unknown.map((name) => `there is no column ${JSON.stringify(name.slice(0, 80))}`),
    ...twice.map((column) => `${column} stands there twice`),
    ...(columns.includes("email") || columns.includes("externalId") ? [] : ["email or external_id is needed"]),
  ];
  if (faults.length === 0) return columns;
  throw new Problem(
    `the heading of ${path} is wrong: ${faults.join("; ")}. It is one line with commas between external_id, email, ` +
      "first_name, last_name, company, phone, linkedin_url, time_zone, as many of them as there are",
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

const QUOTES = "a quote is not closed on its line, or stands inside a cell without being doubled";

function faultOf(cells: readonly string[], columns: Columns): string | undefined {
  if (cells.length !== columns.length) return `has ${cells.length} cells; the heading has ${columns.length}`;
  return cells.some((cell) => cell.includes("\u{fffd}")) ? "is not UTF-8 text" : undefined;
}

/** What is empty is not told. */
const leadOf = (cells: readonly string[], columns: Columns): Readonly<Record<string, string>> =>
  Object.fromEntries(
    columns.flatMap((column, index) => {
      const cell = withoutEscape(cells[index] ?? "");
      return column && cell !== "" ? [[column, cell]] : [];
    }),
  );

/** Undoes what keeps a spreadsheet from reading a cell as a formula: a verdict file can be corrected and come again. */
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

/** No row that people wrote comes near; what is longer is not kept in memory. */
const LONGEST_LINE = 64 * 1024;
/** Not the carriage return at the end of what has been read so far: the other half of it may be about to come. */
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
  const reason = { ENOENT: "there is no such file", EISDIR: "it is a folder" }[cause.code ?? ""] ?? cause.code;
  throw reason ? new Problem(`${path} cannot be read: ${reason}`, { cause }) : cause;
};
