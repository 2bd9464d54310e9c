import { Command } from "commander";
import type * as z from "zod";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { forecast, forecastDays } from "../../lib/operate/forecast.ts";
import { forecastSequences } from "../../lib/operate/forecast-sequences.ts";
import { writable } from "../../lib/operate/sequences.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { effectText } from "../forecast-effect.ts";
import { wholeForecast } from "../forecast-pages.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";
import { printable } from "../print.ts";
import { REASON_TEXTS } from "../reason-texts.ts";
import { invalidFiles, readSequenceFiles } from "../sequence-file.ts";
import { adviceLine, eachNewField, formatMinute, numberOption } from "../terminal.ts";

const HELP = `
The forecast runs the live sequences forward with the rules of a run. It changes
nothing. It assumes that:
  - no lead replies or books, no text is approved, and nothing else changes;
  - free times are left for texts that offer some;
  - every message is accepted on its first attempt.

Days are those of the workspace's time zone.

With --sequences it shows how these files would change the forecast of one
workspace: the messages that move, expire, wait or no longer go, and the touches
per day before and after. Leads in progress keep the steps, order and
delays that they started with, so a change of these shows no effect on them.

Examples:
  $ npm run backstop -- forecast --days 7
  $ npm run backstop -- forecast --sequences sequences/*.yaml
  $ npm run backstop -- forecast --workspace "Harbour Homes" --stage production`;

interface Options extends AskOptions {
  readonly days: number;
  readonly sequences?: readonly string[];
  readonly newField: readonly string[];
}

/** The command `forecast`. Throws errors and refusals as Problem. */
export function forecastCommand(): Command {
  return withPlace(new Command("forecast"))
    .summary("show what goes out in the next days")
    .description(forecast.summary)
    .addOption(numberOption("--days <number>", "how many days", forecastDays))
    .option("--workspace <id or name>", "only this workspace")
    .option("--sequences <files...>", "show the effect of applying these files")
    .option("--new-field <name>", "a custom field that leads get later; repeatable", eachNewField, [])
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action((options: Options) => (options.sequences ? showEffect(options.sequences, options) : showForecast(options)));
}

const showForecast = ({ days: wanted, workspace, json, ...place }: Options): Promise<void> =>
  withOperator(place, async (operator) => {
    const answer = await wholeForecast(operator, { days: wanted, ...(workspace && { workspace }) });
    printAnswer(forecast, answer, { json, text: textOf(answer) });
  });

async function showEffect(paths: readonly string[], { days: wanted, workspace, ...options }: Options): Promise<void> {
  const { sequences, faults } = await readSequenceFiles(paths);
  if (faults.length > 0) throw invalidFiles(faults, "shown");
  await withOperator(options, async (operator) => {
    const answer = await operator.ask(forecastSequences, {
      days: wanted,
      ...(workspace && { workspace }),
      sequences: sequences.map(writable),
      newFields: [...options.newField],
    });
    printAnswer(forecastSequences, answer, { json: options.json, text: effectText(answer) });
  });
}

type Answer = z.output<typeof forecast.answer>;
type Workspace = Answer["workspaces"][number];

function textOf({ from, until, workspaces }: Answer): string {
  const heading = `From ${formatMinute(from)} to ${formatMinute(until)}, if no lead replies and nothing changes:`;
  if (workspaces.length === 0) return `${heading}\nno sequence is live, so nothing goes out.\n`;
  return `${[heading, ...workspaces.map(workspaceText)].join("\n\n")}\n`;
}

function workspaceText(workspace: Workspace): string {
  const { approvals, cappedDays, outcomes } = workspace;
  const lines = [
    `${workspace.workspace}: ${workspace.liveInstances} live sequences`,
    workspace.days.length === 0 ? "  nothing goes out" : tableOf(workspace),
    ...(approvals.waiting > 0 ? [`  ${approvals.waiting} texts will wait for approval`] : []),
    ...(approvals.expiring > 0 ? [`  ${approvals.expiring} texts expire without an approval`] : []),
    ...(cappedDays.length > 0 ? [`  the daily cap holds steps on ${cappedDays.join(", ")}`] : []),
    ...outcomes
      .filter(({ kind }) => kind !== "complete")
      .map(({ reason, steps }) => `  ${String(steps).padStart(6)}  ${REASON_TEXTS[reason] ?? reason}`),
    ...workspace.advice.map((advice) => `  ${printable(adviceLine(advice))}`),
  ];
  return lines.join("\n");
}

function tableOf({ days: all }: Workspace): string {
  const used = CHANNELS.filter((channel) => all.some(({ touches }) => touches[channel]));
  const rows = all.map(({ day, touches }) => [day, ...used.map((channel) => touches[channel] ?? 0)]);
  return fittedTable({ head: ["day", ...used], rows, rightAligned: used }, columnsOf(process.stdout));
}
