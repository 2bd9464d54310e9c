const LOADED_ONCE = "(?:aws-cdk-lib|constructs|cdk-nag)/";

/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  extensionsToTreatAsEsm: [".ts"],
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  transformIgnorePatterns: [`/node_modules/(?!${LOADED_ONCE})`],
  transform: {
    [`/node_modules/${LOADED_ONCE}`]: "<rootDir>/test/support/load-once.ts",
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
