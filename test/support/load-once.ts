/** Leads out of the sandbox: code of the process's own context sees the process itself, and not jest's copy. */
const REQUIRE =
  'require("node:vm").runInThisContext("process").getBuiltinModule("node:module").createRequire(__filename)';

/**
 * A transform of jest that loads CommonJS packages once per worker, outside the sandbox of the test file. Otherwise each
 * file loads the CDK again, and the sandbox makes each access to a global slower: together two thirds of the time of
 * `test/infra`. Only for packages that keep no state between tests and do not check `instanceof` on what tests pass in.
 */
// biome-ignore lint/style/noDefaultExport: jest calls the default export
export default {
  process: () => ({ code: `module.exports = ${REQUIRE}(__filename);` }),
};
