import { LEAD_COLUMNS, LEAD_KEYS } from "../lib/domain/lead-columns.ts";
import { isKnownHeading, type MappingOptions, mapColumns } from "./csv/column-mapping.ts";
import { type LeadColumns, type ReadLead, readLead } from "./csv/lead-cells.ts";
import {
  type CsvRow,
  cellsOf,
  decodedParts,
  detectEncoding,
  type Encoding,
  type Line,
  linesOf,
  rowsOf,
} from "./csv/rows.ts";
import { openFile } from "./open-file.ts";
import { Problem } from "./problem.ts";

/** One row of a file: a parsed lead that is not validated yet, or the reason why the row is broken. */
export interface LeadRow {
  /** The row's first line. Counts from 1, including the heading. */
  readonly line: number;
  /** The cells as written, without the columns that an import adds. Empty if the row is broken. */
  readonly cells: readonly string[];
  readonly read: ReadLead;
}

export interface LeadFile extends LeadColumns {
  readonly encoding: Encoding;
  readonly delimiter: string;
  /** The rows. `country` is the workspace's; national phone numbers are read as numbers of it. */
  readonly rows: (country: string | null) => AsyncIterable<LeadRow>;
}

/**
 * Opens a CSV file and reads its heading. Detects encoding, delimiter, and the CRM that exported it. Throws a Problem if
 * the file cannot be read or its heading is invalid; the Problem lists all faults.
 */
export async function openLeadFile(path: string, options: MappingOptions = NO_OPTIONS): Promise<LeadFile> {
  const encoding = await encodingOf(path);
  const lines = linesOf(decodedParts(path, encoding));
  const { delimiter, rest } = await delimiterOf(lines);
  const rows = rowsOf(rest, delimiter);
  const first = (await rows.next()).value;
  const all: readonly string[] = first && "cells" in first ? first.cells : [];
  const headings = all.slice(0, all.findLastIndex((name) => name !== "") + 1);
  const mapping = mapColumns(headings, options);
  if ("faults" in mapping) throw invalidHeading(path, mapping.faults);
  const columns = { ...mapping, headings };
  return { ...columns, encoding, delimiter, rows: (country) => leadRows(rows, columns, country) };
}

const NO_OPTIONS: MappingOptions = { map: [], ignoreOtherColumns: false };

async function encodingOf(path: string): Promise<Encoding> {
  const file = await openFile(path);
  const encoding = "fault" in file ? file : await file.close().then(() => detectEncoding(path));
  if (typeof encoding === "string") return encoding;
  throw new Problem(`${path} cannot be read: ${encoding.fault}`);
}

const invalidHeading = (path: string, faults: readonly string[]): Problem =>
  new Problem(
    `the heading of ${path} is invalid: ${faults.join("; ")}. The columns are ` +
      `${LEAD_KEYS.map((key) => LEAD_COLUMNS[key].column).join(", ")}. Name yours with --map "Heading=column"; ` +
      "other columns are custom fields, or left out with --ignore-other-columns",
  );

const DELIMITERS = [",", ";", "\t", "|"];

/** Reads Excel's line `sep=;`, or chooses the delimiter that yields the most known headings, then the most cells. */
async function delimiterOf(lines: AsyncGenerator<Line>): Promise<{ delimiter: string; rest: AsyncIterator<Line> }> {
  let first = await lines.next();
  while (!first.done && "text" in first.value && first.value.text.trim() === "") first = await lines.next();
  if (first.done || "fault" in first.value) return { delimiter: ",", rest: lines };
  const { text } = first.value;
  const named = /^"?sep=(.)/i.exec(text)?.[1];
  if (named) return { delimiter: named, rest: lines };
  return { delimiter: bestDelimiter(text), rest: startingWith(first.value, lines) };
}

function bestDelimiter(heading: string): string {
  const scored = DELIMITERS.map((delimiter) => {
    const cells = cellsOf(heading, delimiter) ?? [];
    return { delimiter, known: cells.filter(isKnownHeading).length, cells: cells.length };
  });
  const [best] = scored.sort((one, other) => other.known - one.known || other.cells - one.cells);
  return best?.delimiter ?? ",";
}

async function* startingWith(first: Line, lines: AsyncIterable<Line>): AsyncGenerator<Line> {
  yield first;
  yield* lines;
}

async function* leadRows(
  rows: AsyncIterable<CsvRow>,
  columns: LeadColumns,
  country: string | null,
): AsyncGenerator<LeadRow> {
  for await (const row of columns.crm?.hasFooter ? withoutFooter(rows) : rows) {
    const { line } = row;
    const cells = "cells" in row ? row.cells : [];
    const fault = "fault" in row ? row.fault : faultOf(cells, columns.headings.length);
    if (fault !== undefined) yield { line, cells: [], read: { fault } };
    else if (cells.some((cell) => cell !== ""))
      yield { line, cells: cells.slice(0, columns.ownWidth), read: readLead(cells, columns, country) };
  }
}

/** Cells beyond the last heading may be empty: spreadsheets add delimiters at the end of lines. */
function faultOf(cells: readonly string[], width: number): string | undefined {
  const given = Math.max(cells.findLastIndex((cell) => cell !== "") + 1, Math.min(cells.length, width));
  return given === width ? undefined : `has ${given} cells; the heading has ${width}`;
}

/** Leaves out the lines about the report at the end of a file. They have one cell, and one says who made them. */
async function* withoutFooter(rows: AsyncIterable<CsvRow>): AsyncGenerator<CsvRow> {
  let held: CsvRow[] = [];
  for await (const row of rows) {
    if ("cells" in row && row.cells.length === 1) held.push(row);
    else {
      yield* held;
      yield row;
      held = [];
    }
  }
  if (!held.some((row) => "cells" in row && FOOTER.test(row.cells[0] ?? ""))) yield* held;
}

const FOOTER = /^(Copyright \(c\)|Confidential Information|Generated By:)/i;
