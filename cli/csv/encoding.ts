import { createReadStream } from "node:fs";

export type Encoding = "utf-8" | "utf-16le" | "utf-16be" | "windows-1252";

/**
 * Detects the encoding of a file. Without a byte order mark, text that is not UTF-8 is Windows-1252. If some of it is
 * UTF-8, only its broken characters are replaced by U+FFFD. Returns a fault for workbooks, other binary files and
 * other encodings.
 */
export async function detectEncoding(path: string): Promise<Encoding | { readonly fault: string }> {
  const decoder = new TextDecoder();
  const found = { isStart: true, replaced: false, multiByte: false, otherCodePage: false, isUtf8: true };
  const strict = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    if (found.isStart) {
      const known = encodingByStart(chunk);
      if (known) return known;
      found.isStart = false;
    }
    if (chunk.includes(0)) return { fault: NOT_TEXT };
    found.isUtf8 &&= isValid(strict, chunk);
    found.multiByte ||= /[^\0-\x7f\ufffd]/.test(decoder.decode(chunk, { stream: true }));
    found.otherCodePage ||= OTHER_CODE_PAGE.test(chunk.toString("latin1"));
  }
  if (found.isUtf8 || found.multiByte) return "utf-8";
  return found.otherCodePage ? { fault: UNKNOWN } : "windows-1252";
}

/** The text of the file in parts, without a byte order mark. */
export async function* decodedParts(path: string, encoding: Encoding): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>)
    yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

const NOT_TEXT = "it is not a text file; save it as CSV UTF-8";
const WORKBOOK = "it is a spreadsheet file, not CSV; save it as CSV UTF-8";
const UNKNOWN = "its encoding is neither UTF-8, UTF-16 nor Windows-1252; save it as CSV UTF-8";

/** Four accented letters in a row, or a byte that Windows-1252 does not define: no Western European text. */
const OTHER_CODE_PAGE = /[\u00c0-\u00ff]{4}|[\u0081\u008d\u008f\u0090\u009d]/;

const BYTE_ORDER_MARKS: readonly (readonly [string, Encoding])[] = [
  ["efbbbf", "utf-8"],
  ["fffe", "utf-16le"],
  ["feff", "utf-16be"],
];
/** ZIP, as in .xlsx, and the compound file of .xls. */
const WORKBOOKS = ["504b0304", "d0cf11e0a1b11ae1"];

function encodingByStart(chunk: Buffer): Encoding | { readonly fault: string } | undefined {
  const start = chunk.subarray(0, 8).toString("hex");
  if (WORKBOOKS.some((magic) => start.startsWith(magic))) return { fault: WORKBOOK };
  const marked = BYTE_ORDER_MARKS.find(([mark]) => start.startsWith(mark));
  return marked ? marked[1] : utf16WithoutMark(chunk);
}

/** In UTF-16, every second byte of an English heading is zero. */
function utf16WithoutMark(chunk: Buffer): Encoding | undefined {
  const heading = chunk.subarray(0, 64);
  const zeros = [0, 0];
  for (const [index, byte] of heading.entries()) if (byte === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  if (even + odd < heading.length / 4) return undefined;
  return odd > even ? "utf-16le" : "utf-16be";
}

function isValid(strict: InstanceType<typeof TextDecoder>, chunk: Buffer): boolean {
  try {
    strict.decode(chunk, { stream: true });
    return true;
  } catch {
    return false;
  }
}
