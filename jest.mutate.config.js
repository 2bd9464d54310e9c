import tests from "./jest.config.js";

// A thousand mutants times hundreds of zones would take hours.
process.env.ONE_CASE_IN = "80";

/** The tests of pure code alone, which need no PostgreSQL. */
const { globalSetup: _start, globalTeardown: _stop, ...pure } = tests;

/** @type {import("jest").Config} */
export default { ...pure, testMatch: ["<rootDir>/test/support/pure-tests.ts"] };
