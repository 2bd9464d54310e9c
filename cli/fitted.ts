import Table from "cli-table3";

/** The columns of the terminal; 80 elsewhere. */
export const columnsOf = (stream: { readonly columns?: number }): number => stream.columns || 80;

/**
 * Fits a help text into this many columns. Lines that start without a space are paragraphs, which are wrapped again. A
 * longer line of a list continues below its second column, and a longer command ends with a backslash.
 */
export function fittedText(text: string, columns: number): string {
  return paragraphsOf(text)
    .flatMap((line) => (line.length <= columns ? [line] : brokenLine(line, columns)))
    .join("\n");
}

/** The lines, with those of a paragraph joined. */
function paragraphsOf(text: string): readonly string[] {
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    const before = lines.at(-1) ?? "";
    if (/^\S/.test(line) && /^\S/.test(before)) lines[lines.length - 1] = `${before} ${line}`;
    else lines.push(line);
  }
  return lines;
}

function brokenLine(line: string, columns: number): readonly string[] {
  const [command] = /^ +\$ /.exec(line) ?? [];
  if (command !== undefined) return filled(line.match(ARGUMENT), columns - 2, command.length + 2).map(continued);
  const [firstColumn] = /^ +\S.*? {2,}(?=\S)/.exec(line) ?? [];
  return filled(line.match(/\s*\S+/g), columns, (firstColumn ?? /^ */.exec(line)?.[0] ?? "").length);
}

const continued = (line: string, index: number, lines: readonly string[]): string =>
  index < lines.length - 1 ? `${line} \\` : line;

/** An argument with the spaces before it. Quoted text is one, and so is an option with its value. */
const ARGUMENT = /\s*(?:--[\w-]+ +(?!-))?(?:"[^"]*"|'[^']*'|[^\s"'])+/g;

/** Each word comes with the spaces before it. */
function filled(allWords: readonly string[] | null, columns: number, indent: number): string[] {
  const [first = "", ...words] = allWords ?? [];
  const lines = [first];
  for (const word of words) {
    const last = lines.at(-1) ?? "";
    if (last.length + word.length <= columns) lines[lines.length - 1] = last + word;
    else lines.push(" ".repeat(indent) + word.trimStart());
  }
  return lines;
}

type Cell = string | number;

interface TableShape {
  readonly head: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** Heads of columns of numbers. */
  readonly rightAligned?: readonly string[];
}

/**
 * A table that fits into this many columns: cells wrap between words. A table that cannot fit becomes a list of
 * records.
 */
export function fittedTable({ head, rows, rightAligned = [] }: TableShape, columns: number): string {
  const texts = [head, ...rows].map((row) => row.map(String));
  const widths = fittedWidths(texts, columns);
  if (widths === undefined) return recordsOf(head, rows);
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colWidths: widths.map((width) => width + PADDING),
    colAligns: head.map((name) => (rightAligned.includes(name) ? "right" : "left")),
    wordWrap: true,
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

/** A space on both sides of each cell. */
const PADDING = 2;

/** The widths of the columns; undefined if their longest words do not fit. Takes from the widest column first. */
function fittedWidths(rows: readonly (readonly string[])[], columns: number): readonly number[] | undefined {
  const widest = (pattern: RegExp) =>
    (rows[0] ?? []).map((_, index) =>
      Math.max(...rows.flatMap((row) => (row[index] ?? "").split(pattern).map(({ length }) => length))),
    );
  const widths = widest(/\n/);
  const least = widest(/\s/);
  let excess = widths.reduce((sum, width) => sum + width + PADDING + 1, 1) - columns;
  for (; excess > 0; excess--) {
    const room = widths.map((width, index) => (width > (least[index] ?? 0) ? width : 0));
    const place = room.indexOf(Math.max(...room));
    if (room[place] === 0) return undefined;
    widths[place] = (widths[place] ?? 0) - 1;
  }
  return widths;
}

function recordsOf(head: readonly string[], rows: TableShape["rows"]): string {
  const width = Math.max(...head.map(({ length }) => length));
  const record = (row: readonly Cell[]) =>
    head.map(
      (name, index) => `${name.padEnd(width)}  ${String(row[index]).replaceAll("\n", `\n${" ".repeat(width + 2)}`)}`,
    );
  return rows.map((row) => record(row).join("\n")).join("\n\n");
}
