/**
 * Tests of many cases (every zone, every point of a run, thousands of texts) run only one case in this many: 1,
 * unless the environment variable `ONE_CASE_IN` is set. `npm test` sets it, as do slow machines, and mutants, which any
 * case detects.
 */
export const ONE_CASE_IN = Number(process.env["ONE_CASE_IN"] ?? 1);

/** The same for tests of fewer cases, each of which takes long: a machine that runs one in 8 of many runs all of these. */
export const ONE_OF_FEW_IN = Math.ceil(ONE_CASE_IN / 8);
