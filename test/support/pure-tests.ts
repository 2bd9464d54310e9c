/**
 * All tests of pure code as one file of tests, for `npm run mutate`: a thousand runs of a dozen files, each of which loads
 * the same libraries anew, would take three times as long.
 */
import { readdirSync } from "node:fs";
import fc from "fast-check";

// That a mutant fails is enough; to find the smallest case in which it does takes seconds.
fc.configureGlobal({ endOnFailure: true });

const inDomain = readdirSync(new URL("../domain/", import.meta.url)).filter((name) => name.endsWith(".test.ts"));
for (const name of inDomain) await import(`../domain/${name}`);
await import("../run/plan.test.ts");
await import("../run/reschedule.test.ts");
