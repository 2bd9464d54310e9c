import * as z from "zod";
import { readRun, readRuns } from "../store/run-history.ts";
import { isoInstant, question, Refused } from "./operation.ts";
import { MAX_LISTED, pageOf } from "./page.ts";

const summary = z.object({
  id: z.guid(),
  trigger: z.string(),
  startedAt: isoInstant,
  finishedAt: isoInstant.nullable(),
  /** Null while it runs, and if it died. */
  success: z.boolean().nullable(),
  /** Its deadline passed and it never finished: it died. */
  timedOut: z.boolean(),
  durationMs: z.number().nullable(),
  /** Why it did not do all its work, such as `locked`. */
  reason: z.string().nullable(),
  /** The number of errors. */
  errors: z.int(),
  /** The promise: the longest time from a booking to the stop, in seconds; null if the backstop did not run. */
  slowestSeconds: z.number().nullable(),
  /** How late a booking without a webhook may be known, in seconds; null without a connected booking tool. */
  sweepAgeSeconds: z.number().nullable(),
  /** Instances of booked leads that the backstop completed. */
  completed: z.number().nullable(),
  sent: z.number().nullable(),
  backlog: z.number().nullable(),
});

/** `runs list`: the newest first. `next` continues with older ones. */
export const listRuns = question({
  name: "runs list",
  summary: "Lists the latest runs, with the time from a booking to the stop.",
  input: z.strictObject({
    /** The `next` of the answer before. */
    after: z.guid().optional(),
    limit: z.int().min(1).max(MAX_LISTED).default(20),
  }),
  answer: z.object({ runs: z.array(summary), next: z.guid().nullable() }),
  async run(db, { after, limit }) {
    const found = await readRuns(db, { before: after ?? null, limit: limit + 1 });
    const { rows: runs, next } = pageOf(found, limit);
    return { runs, next };
  },
});

/** In how many seconds the next run stops what a booking left: the time between the latest two, at least a minute. */
export function secondsBetweenRuns([latest, before]: readonly { readonly startedAt: Date }[]): number {
  const between = latest && before ? (+latest.startedAt - +before.startedAt) / 1_000 : 60;
  return Math.round(Math.max(60, between));
}

/** `runs show`: one run with its report, which holds no personal data. */
export const showRun = question({
  name: "runs show",
  summary: "Shows the report of a run.",
  input: z.strictObject({
    /** Without it, the latest run. */
    run: z.guid().optional(),
  }),
  answer: summary.extend({ requestId: z.string(), deadlineAt: isoInstant, report: z.unknown() }),
  async run(db, { run }) {
    const id = run ?? (await readRuns(db, { before: null, limit: 1 }))[0]?.id;
    if (id === undefined) throw new Refused("not_found", "there was no run yet");
    const found = await readRun(db, id);
    if (!found) throw new Refused("not_found", `there is no run ${id}: runs list shows the latest`);
    return found;
  },
});
