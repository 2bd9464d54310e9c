import { it } from "@jest/globals";

/**
 * `long.it` is for a test that takes about a second or more and has no cases to sample (`ONE_CASE_IN`), such as one that
 * starts programs. `npm test` skips it; `npm run test:all` and `npm run jest` do not.
 */
export const long = { it: process.env["SKIP_LONG_TESTS"] === undefined ? it : it.skip };
