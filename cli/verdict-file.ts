import { open } from "node:fs/promises";
import { stringify } from "csv-stringify/sync";
import { ADDED } from "./csv/column-mapping.ts";
import type { RowWithVerdict } from "./import-leads.ts";
import type { LeadFile } from "./lead-file.ts";
import { fileProblem } from "./problem.ts";

export interface VerdictFile {
  readonly write: (rows: readonly RowWithVerdict[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Creates or overwrites a file for the rows of a lead file, each with its line, its verdict and the reason. It has the
 * same columns and delimiter, is in UTF-8 with a byte order mark, so that spreadsheets read it, and can be imported.
 */
export async function createVerdictFile(
  path: string,
  { headings, ownWidth, delimiter }: LeadFile,
): Promise<VerdictFile> {
  const file = await open(path, "w").catch((cause: unknown) => {
    throw fileProblem(cause, path) ?? cause;
  });
  // Escapes cells that a spreadsheet would read as formulas.
  const csv = (rows: (string | number)[][]) => stringify(rows, { delimiter, escape_formulas: true });
  const cellsOf = ({ cells, line, verdict, reason }: RowWithVerdict) => [
    ...Array.from({ length: ownWidth }, (_, place) => cells[place] ?? ""),
    line,
    verdict,
    reason,
  ];
  await file.write(`\u{feff}${csv([[...headings.slice(0, ownWidth), ...ADDED]])}`);
  return {
    write: async (rows) => void (await file.write(csv(rows.map(cellsOf)))),
    close: () => file.close(),
  };
}
