import { Command } from "commander";
import * as z from "zod";
import { sweepAgeText } from "../../lib/domain/sweeps.ts";
import { listRuns, showRun } from "../../lib/operate/runs.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";
import { formatMinute, numberOption, uuid } from "../terminal.ts";

const HELP = `
The promise of a run is the longest time from a booking to the stop of the lead's sequences, in seconds. A run that
timed out left no report. Runs hold counts and ids, no names and addresses.

Examples:
  $ npm run backstop -- runs list
  $ npm run backstop -- runs list --limit 100 --stage production
  $ npm run backstop -- runs show
  $ npm run backstop -- runs show 0190f0f0-0000-7000-8000-000000000001 --json`;

/** The command `runs list|show`. Throws errors and refusals as Problem. */
export function runsCommand(): Command {
  return new Command("runs")
    .summary("list the latest runs, or show one")
    .description("Lists the latest runs with their promise, errors and duration, or shows the report of one.")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addHelpText("after", HELP);
}

interface Listing extends AskOptions {
  readonly limit: number;
  readonly after?: string;
}

const listCommand = () =>
  withPlace(new Command("list"))
    .description(listRuns.summary)
    .addOption(numberOption("--limit <number>", "how many", listRuns.input.shape.limit))
    .option("--after <run>", "only runs older than this one", uuid)
    .option("--json", "print the answer as JSON")
    .action(({ limit: wanted, after, json, ...place }: Listing) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(listRuns, { limit: wanted, ...(after && { after }) });
        printAnswer(listRuns, answer, { json, text: listText(answer) });
      }),
    );

const showCommand = () =>
  withPlace(new Command("show"))
    .description(`${showRun.summary} Without an id, the latest run.`)
    .argument("[run]", "the id of the run", uuid)
    .option("--json", "print the answer, with the whole report, as JSON")
    .action((run: string | undefined, { json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(showRun, { ...(run && { run }) });
        printAnswer(showRun, answer, { json, text: runText(answer) });
      }),
    );

type Run = z.output<typeof listRuns.answer>["runs"][number];

function listText({ runs, next }: z.output<typeof listRuns.answer>): string {
  if (runs.length === 0) return "There was no run yet.\n";
  const rows = runs.map((run) => [
    run.id,
    outcomeOf(run),
    linesOf({ started: formatMinute(run.startedAt), took: durationOf(run), promise: secondsText(run.slowestSeconds) }),
    linesOf({ stopped: run.completed, sent: run.sent, "still due": run.backlog, errors: run.errors }),
  ]);
  const table = fittedTable({ head: ["run", "outcome", "times", "counts"], rows }, columnsOf(process.stdout));
  return `${table}\n${next === null ? "" : `Older runs: --after ${next}\n`}`;
}

/** One line for each figure that is known. */
const linesOf = (figures: Readonly<Record<string, string | number | null>>): string =>
  Object.entries(figures)
    .flatMap(([name, figure]) => (figure === null || figure === "" ? [] : [`${name} ${figure}`]))
    .join("\n");

function outcomeOf({ success, reason, timedOut }: Run): string {
  if (success === null) return timedOut ? "timed out" : "in progress";
  return `${success ? "succeeded" : "failed"}${reason === null ? "" : ` (${reason})`}`;
}

const secondsText = (seconds: number | null): string => (seconds === null ? "" : `${seconds.toFixed(1)} s`);
const durationOf = ({ durationMs }: Run): string => secondsText(durationMs === null ? null : durationMs / 1_000);

const withErrors = z.object({ errors: z.array(z.string()) });

function runText(run: z.output<typeof showRun.answer>): string {
  const errors = withErrors.safeParse(run.report).data?.errors ?? [];
  const rows = [
    ["outcome", outcomeOf(run)],
    ["started", `${formatMinute(run.startedAt)}, by ${run.trigger}`],
    ["duration", durationOf(run)],
    [
      "promise",
      run.slowestSeconds === null ? "" : `${secondsText(run.slowestSeconds)} from a booking to the stop, at most`,
    ],
    ["sweeps", run.sweepAgeSeconds === null ? "" : sweepAgeText(run.sweepAgeSeconds)],
    ["stopped", run.completed === null ? "" : `${run.completed} sequences of booked leads`],
    ["sent", run.sent === null ? "" : String(run.sent)],
    ["still due", run.backlog === null ? "" : String(run.backlog)],
    ["request", run.requestId],
  ] as const;
  const lines = rows.filter(([, text]) => text !== "").map(([key, text]) => `  ${key.padEnd(9)}  ${text}`);
  return `${[`Run ${run.id}`, ...lines, ...errors.map((error) => `  error      ${error}`)].join("\n")}\n`;
}
