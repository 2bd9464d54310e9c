import { open } from "node:fs/promises";
import type { WrittenSequence } from "../lib/domain/written-sequence.ts";
import { Problem } from "./problem.ts";
import { parseSequenceFile } from "./sequence-file.ts";

/** Far above any real sequence. Larger files are not read. */
const MOST_BYTES = 256 * 1024;

export interface SequenceFiles {
  readonly sequences: readonly WrittenSequence[];
  /** All faults of all files, each with its file, line and column. */
  readonly faults: readonly string[];
}

/** Reads all files, also if some are invalid. Throws a Problem if a file cannot be opened. */
export async function readSequenceFiles(paths: readonly string[]): Promise<SequenceFiles> {
  const files = await Promise.all([...new Set(paths)].map(readSequenceFile));
  const named = Map.groupBy(
    files.filter((file) => file.sequence !== undefined),
    ({ sequence }) => sequence?.name,
  );
  const twice = [...named.values()].flatMap(([first, ...others]) =>
    others.map(({ path }) => `${path}:1:1: name: is that of ${first?.path} already`),
  );
  return {
    sequences: files.flatMap(({ sequence }) => sequence ?? []),
    faults: [...files.flatMap(({ faults }) => faults), ...twice],
  };
}

interface SequenceFile {
  readonly path: string;
  readonly sequence?: WrittenSequence;
  readonly faults: readonly string[];
}

async function readSequenceFile(path: string): Promise<SequenceFile> {
  const text = await readText(path);
  if (typeof text !== "string") return { path, faults: [`${path}:1:1: ${text.fault}`] };
  const parsed = parseSequenceFile(text);
  if ("sequence" in parsed) return { path, sequence: parsed.sequence, faults: [] };
  return { path, faults: parsed.faults.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`) };
}

async function readText(path: string): Promise<string | { readonly fault: string }> {
  const file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "there is no such file" : cause.code;
    throw new Problem(`${path} cannot be read: ${reason}`, { cause });
  });
  try {
    const stats = await file.stat();
    if (!stats.isFile()) return { fault: "is not a file" };
    if (stats.size > MOST_BYTES) return { fault: `has ${stats.size} bytes; a sequence has at most ${MOST_BYTES}` };
    return decoded(await file.readFile());
  } finally {
    await file.close();
  }
}

function decoded(bytes: Buffer): string | { readonly fault: string } {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { fault: "is not UTF-8 text" };
  }
}
