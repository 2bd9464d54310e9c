/**
 * Tests of many cases (every zone, every point of a run, thousands of texts) run only one case in this many: 1,
 * unless the environment variable `ONE_CASE_IN` is set. `npm test` sets it, as do slow machines, and mutants, which any
 * case detects.
 */
export const ONE_CASE_IN = Number(process.env["ONE_CASE_IN"] ?? 1);
