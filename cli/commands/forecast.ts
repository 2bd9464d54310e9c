import { Command, InvalidArgumentError } from "commander";
import type * as z from "zod";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { type Place, printAnswer, withOperator, withPlace } from "../operator.ts";
import { printable } from "../print.ts";
import { REASON_TEXTS } from "../reason-texts.ts";
import { adviceLine, formatMinute } from "../terminal.ts";

const HELP = `
The forecast runs the live sequences forward with the rules of a run. It assumes
that no lead replies or books, that no text is approved, that nothing changes,
and that every message is accepted on its first attempt. It changes nothing.

Days are those of the workspace's time zone.

Examples:
  $ npm run backstop -- forecast --days 7
  $ npm run backstop -- forecast --workspace "Harbour Homes" --stage production`;

interface Options extends Place {
  readonly days: number;
  readonly workspace?: string;
  readonly json?: boolean;
}

/** The command `forecast`. Throws errors and refusals as Problem. */
export function forecastCommand(): Command {
  return withPlace(new Command("forecast"))
    .summary("show what goes out in the next days")
    .description(forecast.summary)
    .option("--days <number>", "from 1 to 60", days, 14)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action(({ days: wanted, workspace, json, ...place }: Options) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(forecast, { days: wanted, ...(workspace && { workspace }) });
        printAnswer(forecast, answer, { json, text: textOf(answer) });
      }),
    );
}

function days(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 60) return number;
  throw new InvalidArgumentError("Expected a whole number from 1 to 60.");
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
