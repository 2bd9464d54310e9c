/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2024", parser: { syntax: "typescript" } }, module: { type: "es6" }, sourceMaps: "inline" },
    ],
  },
  globalSetup: "<rootDir>/test/support/start-postgres.ts",
  globalTeardown: "<rootDir>/test/support/stop-postgres.ts",
  testTimeout: 180_000,
  maxWorkers: "100%",
  // A worker keeps the modules of each file that it ran. With gigabytes of them, its files take four times as long.
  workerIdleMemoryLimit: "800MB",
};
