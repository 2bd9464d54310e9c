import * as z from "zod";
import { openEngine } from "./follow-ups.ts";

/** Runs the engine several times in a row, like a warm function. Sends its resident set size in bytes to the parent. */
const given = z.tuple([z.url(), z.coerce.number().int().positive(), z.coerce.number().int().positive()]);
const [databaseUrl, runs, runMs] = given.parse(process.argv.slice(2));

const leave = () => process.exit(1);
process.once("disconnect", leave);
const engine = openEngine(databaseUrl);
await engine.ports.now();
const atStart = process.memoryUsage.rss();
const peaks: number[] = [];
let sent = 0;

for (let run = 0; run < runs; run++) {
  let peak = 0;
  const sampling = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  const end = performance.now() + runMs + engine.settings.safetyMarginMs;
  const report = await engine.run({}, () => end - performance.now());
  clearInterval(sampling);
  if (!report.success || !report.results) throw new Error(`a run failed: ${JSON.stringify(report)}`);
  sent += report.results.delivery?.sent ?? 0;
  peaks.push(Math.max(peak, process.memoryUsage.rss()));
}

await engine.close();
// maxRSS is in kilobytes. It is the operating system's peak, which sampling could miss.
process.send?.({ atStart, peaks, peak: process.resourceUsage().maxRSS * 1_024, sent });
process.off("disconnect", leave).disconnect();
