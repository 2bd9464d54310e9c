import { randomUUID } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { stringify } from "csv-stringify/sync";
import type { EnrolmentVerdict } from "../lib/domain/enrolment.ts";
import { FACT_SCHEMAS, MOST_LEADS } from "../lib/run/intake/facts.ts";
import { leadEnrolled } from "../lib/store/facts/enrol.ts";
import type { Transactional } from "../lib/store/sql.ts";
import { databaseNow } from "../lib/store/sql.ts";
import { ADDED, type LeadFile, type LeadRow } from "./lead-file.ts";
import { fileProblem, Problem } from "./problem.ts";

interface Import {
  readonly workspaceId: string;
  readonly sequence: { readonly id: string } | { readonly name: string };
  /** Output file: each input row with its verdict. Overwritten if it exists. */
  readonly verdictPath: string;
  /** Called after each batch with the number of rows that have a verdict. */
  readonly onProgress: (rows: number) => void;
  readonly signal: AbortSignal;
}

export interface Imported {
  /** Rows per verdict; invalid rows are counted as `invalid`. */
  readonly counts: Readonly<Record<string, number>>;
  /** The first few invalid rows, without their contents. */
  readonly invalid: readonly { readonly line: number; readonly reason: string }[];
}

/**
 * Enrols the leads of a file, 1,000 per transaction. An interrupted import can be run again: a lead that is already in
 * the sequence is not enrolled twice. Throws a Problem if the sequence does not exist.
 */
export async function importLeads(db: Transactional, file: LeadFile, task: Import): Promise<Imported> {
  const verdicts = await openForWriting(task.verdictPath);
  try {
    await verdicts.write(csv([[...file.heading, ...ADDED]]));
    return await importRows(db, file, task, verdicts);
  } finally {
    await verdicts.close();
  }
}

async function importRows(db: Transactional, file: LeadFile, task: Import, to: FileHandle): Promise<Imported> {
  const counts: Record<string, number> = {};
  const invalid: { line: number; reason: string }[] = [];
  let rows = 0;
  for await (const batch of batchesOf(file.rows)) {
    task.signal.throwIfAborted();
    const verdictRows = await enrol(db, batch, task);
    await to.write(csv(verdictRows.map((row) => verdictCells(row, file.heading.length))));
    for (const { line, verdict, reason } of verdictRows) {
      counts[verdict] = (counts[verdict] ?? 0) + 1;
      if (verdict === "invalid" && invalid.length < MAX_REPORTED) invalid.push({ line, reason });
    }
    rows += verdictRows.length;
    task.onProgress(rows);
  }
  return { counts, invalid };
}

const MAX_REPORTED = 10;

async function* batchesOf(rows: AsyncIterable<LeadRow>): AsyncGenerator<readonly LeadRow[]> {
  let batch: LeadRow[] = [];
  for await (const row of rows) {
    batch.push(row);
    if (batch.length < MOST_LEADS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

interface RowWithVerdict extends LeadRow {
  readonly verdict: string;
  readonly reason: string;
}

async function enrol(db: Transactional, batch: readonly LeadRow[], task: Import): Promise<readonly RowWithVerdict[]> {
  const valid = batch.flatMap(({ line, read }) => ("lead" in read ? [{ line, lead: read.lead }] : []));
  const leads = valid.map(({ lead }) => lead);
  const verdicts = leads.length === 0 ? [] : await verdictsOn(db, leads, task);
  const byLine = new Map(valid.map(({ line }, place) => [line, verdicts[place]]));
  return batch.map((row) => {
    const verdict = "fault" in row.read ? `invalid: ${row.read.fault}` : byLine.get(row.line);
    if (verdict === undefined) throw new Error("a lead of an enrolment has no verdict");
    const [kind = "", ...reason] = verdict.split(": ");
    // Replace the position in the batch with the line of the file.
    const text = reason
      .join(": ")
      .replace(/(?<=the lead) at index (\d+)$/, (_, place) => ` on line ${valid[place]?.line}`);
    return { ...row, verdict: kind, reason: text };
  });
}

async function verdictsOn(
  db: Transactional,
  leads: readonly unknown[],
  { workspaceId, sequence }: Import,
): Promise<readonly EnrolmentVerdict[]> {
  const occurredAt = (await databaseNow(db)).toISOString();
  const fact = FACT_SCHEMAS["lead.enrolled"].parse({ workspaceId, eventId: randomUUID(), occurredAt, sequence, leads });
  const outcome = await leadEnrolled(db, { ...fact, type: "lead.enrolled", warnings: [] });
  if (outcome.outcome === "refused") throw new Problem(outcome.reason);
  if (outcome.outcome !== "applied" || !outcome.verdicts) throw new Error(`an enrolment ended ${outcome.outcome}`);
  return outcome.verdicts;
}

function verdictCells({ line, cells, verdict, reason }: RowWithVerdict, width: number): readonly (string | number)[] {
  const shown = cells.length > 0 ? cells : Array.from({ length: width }, () => "");
  return [...shown, line, verdict, reason];
}

/** Escapes cells that a spreadsheet would read as formulas. */
const csv = (rows: readonly (readonly (string | number)[])[]): string =>
  stringify(
    rows.map((row) => [...row]),
    { escape_formulas: true },
  );

async function openForWriting(path: string): Promise<FileHandle> {
  return await open(path, "w").catch((cause: unknown) => {
    throw fileProblem(cause, path) ?? cause;
  });
}
