import tests from "./jest.config.js";

// Sample the cases: a thousand mutants times hundreds of time zones would take hours.
process.env.ONE_CASE_IN = "80";

/** Only tests of pure code, which need no PostgreSQL. */
const { globalSetup: _start, globalTeardown: _stop, ...pure } = tests;

/** @type {import("jest").Config} */
export default { ...pure, testMatch: ["<rootDir>/test/support/pure-tests.ts"] };
