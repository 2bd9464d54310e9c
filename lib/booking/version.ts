import { createHash } from "node:crypto";

/** The version of a meeting that has these values. They may hold personal data; the version does not. */
export const versionOf = (...values: readonly unknown[]): string =>
  createHash("sha256").update(JSON.stringify(values)).digest("base64url").slice(0, 22);
