/**
 * Tests of many cases (every zone, every point of a run, thousands of texts) run only one case in this many. The
 * default is 1. Set the environment variable `ONE_CASE_IN` on slow machines and for mutants, which any case detects.
 */
export const ONE_CASE_IN = Number(process.env["ONE_CASE_IN"] ?? 1);
