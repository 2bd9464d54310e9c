import { createHash } from "node:crypto";
import * as z from "zod";
import { isKnownSequence } from "../../lib/domain/written-sequence.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { forecastSequences } from "../../lib/operate/forecast-sequences.ts";
import { exportSequences, writable } from "../../lib/operate/sequences.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { onSnapshot, type Transactional } from "../../lib/store/sql.ts";

/** Asks for one forecast, like a cold function, and sends the time, the memory and the answer's size to the parent. */
const given = z.tuple([z.url(), z.string(), z.enum(["forecast", "sequences"]), z.coerce.date()]);
const [databaseUrl, workspace, asked, now] = given.parse(process.argv.slice(2));

const leave = () => process.exit(1);
process.once("disconnect", leave);
const { pool, close } = openDatabase({ connectionString: databaseUrl, max: 1 });
await onSnapshot(pool, async () => undefined);
const atStart = process.memoryUsage.rss();

async function answerOn(db: Transactional): Promise<unknown> {
  if (asked === "forecast")
    return z.encode(forecast.answer, await forecast.run(db, { days: 14, workspace, after: null }, now));
  const { sequences } = await exportSequences.run(db, { workspace, after: null }, now);
  const edited = sequences.filter(isKnownSequence).map((sequence) => ({
    ...writable(sequence),
    steps: writable(sequence).steps.map((step) => (step.key === "step-2" ? { ...step, timeToLiveMinutes: 60 } : step)),
  }));
  const input = { days: 14, workspace, sequences: edited, newFields: ["need"] };
  return z.encode(forecastSequences.answer, await forecastSequences.run(db, input, now));
}

const startedMs = performance.now();
const cpu = process.cpuUsage();
const answer = JSON.stringify(await onSnapshot(pool, answerOn));
const milliseconds = performance.now() - startedMs;
const { user, system } = process.cpuUsage(cpu);
await close();
// maxRSS is in kilobytes. It is the operating system's peak, which sampling could miss.
const peak = process.resourceUsage().maxRSS * 1_024;
const digest = createHash("sha256").update(answer).digest("hex");
process.send?.({
  milliseconds,
  cpuMs: (user + system) / 1_000,
  atStart,
  peak,
  bytes: Buffer.byteLength(answer),
  digest,
});
process.off("disconnect", leave).disconnect();
