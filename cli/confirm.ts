import { createInterface } from "node:readline/promises";
import { Problem } from "./problem.ts";

/** Asks a person at the terminal; anything but yes is no. Throws a Problem where there is nobody to ask. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new Problem("nobody can be asked here: --yes applies without asking, --dry-run only shows");
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // The terminal takes the key for itself; whoever listens for the signal has to clean up.
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal })).trim());
  } finally {
    terminal.close();
  }
}
