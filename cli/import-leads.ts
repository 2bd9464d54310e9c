import { randomUUID } from "node:crypto";
import type { EnrolmentVerdict } from "../lib/domain/enrolment.ts";
import { FACT_SCHEMAS, MOST_LEADS } from "../lib/inbound/facts.ts";
import { leadEnrolled } from "../lib/store/facts/enrol.ts";
import type { Transactional } from "../lib/store/sql.ts";
import { databaseNow } from "../lib/store/sql.ts";
import type { LeadFile, LeadRow } from "./lead-file.ts";
import { Problem } from "./problem.ts";

export interface Import {
  readonly workspaceId: string;
  /** The workspace's country, as an ISO 3166-1 code: national phone numbers are numbers of it. */
  readonly country: string | null;
  readonly sequence: { readonly id: string } | { readonly name: string };
  /** Receives the rows of each batch with their verdicts, in the order of the file. */
  readonly onVerdicts: (rows: readonly RowWithVerdict[]) => Promise<void> | void;
  readonly signal: AbortSignal;
}

export interface RowWithVerdict extends LeadRow {
  readonly verdict: string;
  /** Why the row is invalid, and which of its values were dropped. Without values. */
  readonly reason: string;
}

/** A row and what is wrong with it, without its contents. */
export interface Remark {
  readonly line: number;
  readonly reason: string;
}

export interface Imported {
  /** Rows per verdict; invalid rows are counted as `invalid`. */
  readonly counts: Readonly<Record<string, number>>;
  /** The first few invalid rows. */
  readonly invalid: readonly Remark[];
  /** Number of rows that lost an invalid optional value. */
  readonly warned: number;
  /** The first few of them. */
  readonly warnings: readonly Remark[];
}

/**
 * Enrols the leads of a file, 1,000 per transaction. An interrupted import can be run again: a lead that is already in
 * the sequence is not enrolled twice. Throws a Problem if the sequence does not exist.
 */
export async function importLeads(db: Transactional, file: LeadFile, task: Import): Promise<Imported> {
  const counts: Record<string, number> = {};
  const invalid: Remark[] = [];
  const warnings: Remark[] = [];
  let warned = 0;
  for await (const batch of batchesOf(file.rows(task.country))) {
    task.signal.throwIfAborted();
    const rows = await enrol(db, batch, task);
    await task.onVerdicts(rows);
    for (const { line, verdict, reason, read } of rows) {
      counts[verdict] = (counts[verdict] ?? 0) + 1;
      if (verdict === "invalid") report(invalid, { line, reason });
      else if ("warnings" in read && read.warnings.length > 0) {
        warned++;
        report(warnings, { line, reason });
      }
    }
  }
  return { counts, invalid, warned, warnings };
}

function report(remarks: Remark[], remark: Remark): void {
  if (remarks.length < MAX_REPORTED) remarks.push(remark);
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

async function enrol(db: Transactional, batch: readonly LeadRow[], task: Import): Promise<readonly RowWithVerdict[]> {
  const valid = batch.flatMap(({ line, read }) => ("lead" in read ? [{ line, lead: read.lead }] : []));
  const leads = valid.map(({ lead }) => lead);
  const verdicts = leads.length === 0 ? [] : await verdictsOn(db, leads, task);
  const byLine = new Map(valid.map(({ line }, place) => [line, verdicts[place]]));
  return batch.map((row) => {
    const verdict = verdictBeforehand(row) ?? byLine.get(row.line);
    if (verdict === undefined) throw new Error("a lead of an enrolment has no verdict");
    const [kind = "", ...reason] = verdict.split(": ");
    // Replace the position in the batch with the line of the file.
    const text = reason
      .join(": ")
      .replace(/(?<=the lead) at index (\d+)$/, (_, place) => ` on line ${valid[place]?.line}`);
    const warnings = "warnings" in row.read ? row.read.warnings : [];
    return { ...row, verdict: kind, reason: [text, ...warnings].filter(Boolean).join("; ") };
  });
}

/** The verdict on a row without a lead that could be enrolled; undefined for other rows. */
function verdictBeforehand({ read }: LeadRow): string | undefined {
  if ("fault" in read) return `invalid: ${read.fault}`;
  return "optedOutBy" in read ? `opted_out: the column ${JSON.stringify(read.optedOutBy)} says so` : undefined;
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
