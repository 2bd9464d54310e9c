import { createInterface } from "node:readline/promises";
import { Problem } from "./problem.ts";

/** Asks a question at the terminal; any answer but yes is no. Throws a Problem if there is no terminal. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Problem("nobody can be asked here: --yes applies without asking, --dry-run only shows");
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // readline swallows Ctrl-C. Raise the signal so that its listeners can clean up.
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal })).trim());
  } finally {
    terminal.close();
  }
}
