import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
} from "yaml";
import type * as z from "zod";
import { openFile } from "./open-file.ts";

/** A fault, and its place in the value. */
export interface FileFault {
  /** The path from the root, for example `steps`, 0, `body`. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

export interface PlacedFault {
  /** Counts from 1. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

interface YamlFile {
  readonly value: unknown;
  /** The faults with their positions in the file, in that order. */
  placed<Of extends FileFault>(faults: readonly Of[], textOf: (fault: Of) => string): readonly PlacedFault[];
}

/** Parses YAML 1.2, in which `NO`, `09:00` and `2026-12-24` are texts. */
export function parseYaml(text: string): YamlFile | { readonly faults: readonly PlacedFault[] } {
  const counter = new LineCounter();
  const at = (offset: number, message: string): PlacedFault => {
    const { line, col } = counter.linePos(offset);
    return { line, column: col, message };
  };
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false, stringKeys: true });
  const unreadable = [...yamlFaults(document)].map(([offset, message]) => at(offset, message));
  if (unreadable.length > 0) return { faults: unreadable };
  return {
    value: document.toJS(),
    placed: (faults, textOf) =>
      faults
        .map((fault) => at(offsetOf(document, fault.path), textOf(fault)))
        .sort((one, other) => one.line - other.line || one.column - other.column),
  };
}

/** Messages by offset: the first YAML error, and all anchors and aliases, which could expand without limit. */
function yamlFaults(document: Document.Parsed): ReadonlyMap<number, string> {
  // Later parser errors mostly follow from the first.
  const first = [...document.errors, ...document.warnings].slice(0, 1);
  const faults = new Map(first.map(({ pos, code, message }) => [pos[0], `${message}${ADVICE[code] ?? ""}`]));
  visit(document, {
    Node(_, node) {
      if (isAlias(node) || node.anchor) faults.set(node.range?.[0] ?? 0, "anchors and aliases are not allowed");
    },
  });
  return faults;
}

const QUOTES =
  '. A text on one line that contains ": " or starts with "{{" needs quotes; a text after "body: |" does not';
const ADVICE: Partial<Record<ErrorCode, string>> = {
  BLOCK_AS_IMPLICIT_KEY: QUOTES,
  NON_STRING_KEY: QUOTES,
  RESOURCE_EXHAUSTION: ": the file is nested too deeply",
};

/** Splits unknown keys into one fault each, with its own position. */
export function faultsOfIssue(issue: z.core.$ZodIssue): readonly FileFault[] {
  if (issue.code !== "unrecognized_keys") return [issue];
  return issue.keys.map((key) => ({ path: [...issue.path, key], message: "unknown key" }));
}

/** The offset of this path, or of its nearest existing parent. A value has the offset of its key. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent = document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === last) : undefined;
    const node = pair?.key ?? document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range[0] ?? 0;
}

/** Far above any real file of settings or texts. Larger files are not read. */
const MAX_BYTES = 256 * 1024;

/** The text of a small UTF-8 file, or why it cannot be read. */
export async function readTextFile(path: string): Promise<string | { readonly fault: string }> {
  const file = await openFile(path);
  if ("fault" in file) return { fault: `cannot be read: ${file.fault}` };
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) return { fault: `has ${size} bytes; the maximum is ${MAX_BYTES}` };
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
