import type { CheckResult } from "../lib/operate/checks.ts";
import { Problem } from "./problem.ts";

const SIGNS = { passed: "ok", failed: "FAILED", skipped: "skipped" } as const;

/** One line for each check, and one for each remedy. */
export const checksText = (results: readonly CheckResult[]): string =>
  results
    .map(({ name, state, found, remedy }) => {
      const line = `${SIGNS[state].padEnd(8)} ${name.padEnd(15)} ${found}\n`;
      return remedy === null ? line : `${line}${" ".repeat(9)}→ ${remedy}\n`;
    })
    .join("");

/** Throws a Problem that names the failed checks, if there are any. */
export function requirePassed(results: readonly CheckResult[]): void {
  const failed = results.filter(({ state }) => state === "failed");
  if (failed.length > 0) throw new Problem(`failed: ${failed.map(({ name }) => name).join(", ")}`);
}
