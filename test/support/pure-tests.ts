/**
 * All tests of pure code as one test file, for `npm run mutate`: with separate files each run would load the same
 * libraries several times and take three times as long.
 */
import { readdirSync } from "node:fs";
import fc from "fast-check";

// A failure is enough to detect a mutant; shrinking the case would take seconds.
fc.configureGlobal({ endOnFailure: true });

const inDomain = readdirSync(new URL("../domain/", import.meta.url)).filter((name) => name.endsWith(".test.ts"));
for (const name of inDomain) await import(`../domain/${name}`);
await import("../run/plan.test.ts");
await import("../run/reschedule.test.ts");
