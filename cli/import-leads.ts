import { createHash } from "node:crypto";
import { MOST_LEADS } from "../lib/inbound/facts.ts";
import { importLeads } from "../lib/operate/import-leads.ts";
import type { LeadFile, LeadRow } from "./lead-file.ts";
import type { Operator, Signature } from "./operator.ts";

interface Import extends Signature {
  readonly workspaceId: string;
  /** The workspace's country, as an ISO 3166-1 code: national phone numbers are numbers of it. */
  readonly country: string | null;
  /** The id or the name. */
  readonly sequence: string;
  /** Whether a repeated import of the same file, with the same signature, is the same orders. */
  readonly once: boolean;
  readonly dryRun: boolean;
  /** Receives the rows of each chunk with their verdicts, in the order of the file. */
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
  /** When the oldest of its orders was carried out. An earlier start of the same import may have given it. */
  readonly since: Date | null;
}

/**
 * Enrols the leads of a file, at most 1,000 per order. An interrupted import can be run again: a lead that is already in
 * the sequence is not enrolled twice. Throws a RefusedRequest if workspace or sequence do not exist.
 */
export async function importLeadFile(operator: Operator, file: LeadFile, task: Import): Promise<Imported> {
  const counts: Record<string, number> = {};
  const invalid: Remark[] = [];
  const warnings: Remark[] = [];
  let warned = 0;
  const times: (Date | undefined)[] = [];
  let place = 0;
  for await (const chunk of chunksOf(file.rows(task.country))) {
    task.signal.throwIfAborted();
    const { rows, at } = await enrol(operator, { rows: chunk, place: place++ }, task);
    times.push(at);
    await task.onVerdicts(rows);
    for (const { line, verdict, reason, read } of rows) {
      counts[verdict] = (counts[verdict] ?? 0) + 1;
      if (verdict === "invalid") report(invalid, { line, reason });
      else if (hasWarning(read)) {
        warned++;
        report(warnings, { line, reason });
      }
    }
  }
  return { counts, invalid, warned, warnings, since: oldest(times) };
}

const oldest = (times: readonly (Date | undefined)[]): Date | null =>
  times.flatMap((at) => at ?? []).toSorted((one, other) => +one - +other)[0] ?? null;

const hasWarning = (read: LeadRow["read"]): boolean => "warnings" in read && read.warnings.length > 0;

function report(remarks: Remark[], remark: Remark): void {
  if (remarks.length < MAX_REPORTED) remarks.push(remark);
}

const MAX_REPORTED = 10;

/** Well below the 6 MB of a Lambda event, whose JSON may escape characters. */
const MOST_CHUNK_CHARACTERS = 1_500_000;

async function* chunksOf(rows: AsyncIterable<LeadRow>): AsyncGenerator<readonly LeadRow[]> {
  let chunk: LeadRow[] = [];
  let characters = 0;
  for await (const row of rows) {
    const size = JSON.stringify(row.read).length;
    if (chunk.length === MOST_LEADS || (chunk.length > 0 && characters + size > MOST_CHUNK_CHARACTERS)) {
      yield chunk;
      [chunk, characters] = [[], 0];
    }
    chunk.push(row);
    characters += size;
  }
  if (chunk.length > 0) yield chunk;
}

interface Chunk {
  readonly rows: readonly LeadRow[];
  /** Counts from 0. */
  readonly place: number;
}

async function enrol(operator: Operator, { rows, place }: Chunk, task: Import) {
  const valid = rows.flatMap(({ line, read }) => ("lead" in read ? [{ line, lead: read.lead }] : []));
  const leads = valid.map(({ lead }) => lead);
  const answer = leads.length === 0 ? undefined : await give(operator, leads, place, task);
  const byLine = new Map(valid.map(({ line }, index) => [line, answer?.verdicts[index]]));
  const withVerdicts = rows.map((row) => {
    const verdict = verdictBeforehand(row) ?? byLine.get(row.line);
    if (verdict === undefined) throw new Error("a lead of an enrolment has no verdict");
    const [kind = "", ...reason] = verdict.split(": ");
    // Replace the position in the order with the line of the file.
    const text = reason
      .join(": ")
      .replace(/(?<=the lead) at index (\d+)$/, (_, index) => ` on line ${valid[index]?.line}`);
    const warnings = "warnings" in row.read ? row.read.warnings : [];
    return { ...row, verdict: kind, reason: [text, ...warnings].filter(Boolean).join("; ") };
  });
  return { rows: withVerdicts, at: answer?.at };
}

function give(operator: Operator, leads: readonly unknown[], place: number, task: Import) {
  const { workspaceId: workspace, sequence, by, reason, dryRun } = task;
  const input = { workspace, sequence, leads: [...leads] };
  const orderId = task.once && !dryRun ? { orderId: idOf([by, reason, place, input]) } : {};
  return operator.order(importLeads, input, { by, reason, dryRun, ...orderId });
}

/** A UUID of version 8 (RFC 9562) from a hash, so that the same chunk of the same import is the same order. */
function idOf(content: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/** The verdict on a row without a lead that could be enrolled; undefined for other rows. */
function verdictBeforehand({ read }: LeadRow): string | undefined {
  if ("fault" in read) return `invalid: ${read.fault}`;
  return "optedOutBy" in read ? `opted_out: the column ${JSON.stringify(read.optedOutBy)} says so` : undefined;
}
