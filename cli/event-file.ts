import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { Problem } from "./problem.ts";

/** Reads an event from a file, or from standard input for `-`. Throws a Problem if it cannot be read or is not JSON. */
export async function readEvent(file: string): Promise<unknown> {
  const content = await readEventText(file);
  try {
    return JSON.parse(content);
  } catch (cause) {
    const name = file === "-" ? "standard input" : file;
    throw new Problem(`${name} is not JSON: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** Reads a file, or standard input for `-`. Throws a Problem if the file cannot be read. */
export const readEventText = (file: string): Promise<string> =>
  file === "-" ? text(process.stdin) : readEventFile(file);

async function readEventFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    const reason = REASONS[(cause as NodeJS.ErrnoException).code ?? ""] ?? String(cause);
    throw new Problem(`the event ${file} cannot be read: ${reason}; see the examples in events/`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "the file does not exist",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
};
