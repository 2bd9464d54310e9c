import * as z from "zod";

export const checkResult = z.object({
  name: z.string(),
  state: z.enum(["passed", "failed", "skipped"]),
  /** The finding; for a skipped check, what it needs. */
  found: z.string(),
  /** The remedy; only of a failed check. */
  remedy: z.string().nullable(),
});
export type CheckResult = z.infer<typeof checkResult>;

/** Something that a stage needs. */
export interface Check {
  readonly name: string;
  /** The checks before it without which it says nothing. */
  readonly needs?: readonly string[];
  /** Without a remedy, the check passed. Throws errors that `inOrder` reports. */
  run(): Promise<{ readonly found: string; readonly remedy?: string }>;
}

/**
 * The results of the checks, after those of `earlier`. A check is skipped, and not passed, unless all that it needs
 * passed. `explain` gives the remedy of an error; other errors are thrown.
 */
export async function inOrder(
  checks: readonly Check[],
  earlier: readonly CheckResult[],
  explain: (thrown: unknown) => string | undefined = () => undefined,
): Promise<readonly CheckResult[]> {
  const results = [...earlier];
  for (const check of checks) results.push(await resultOf(check, results, explain));
  return results;
}

async function resultOf(
  { name, needs = [], run }: Check,
  before: readonly CheckResult[],
  explain: (thrown: unknown) => string | undefined,
): Promise<CheckResult> {
  const missing = needs.filter((need) => before.find((result) => result.name === need)?.state !== "passed");
  if (missing.length > 0) return { name, state: "skipped", found: `needs ${missing.join(", ")}`, remedy: null };
  try {
    const { found, remedy = null } = await run();
    return { name, state: remedy === null ? "passed" : "failed", found, remedy };
  } catch (thrown) {
    const remedy = explain(thrown);
    if (remedy === undefined) throw thrown;
    return { name, state: "failed", found: "it cannot be checked", remedy };
  }
}
