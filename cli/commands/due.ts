import { Command } from "commander";
import type * as z from "zod";
import { due } from "../../lib/operate/due.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";
import { liveText } from "../reason-texts.ts";
import { formatMinute } from "../terminal.ts";

const HELP = `
A sequence waits for the time of its next step, is held until its next check, or is paused until something happens. "leads show"
says for one lead which rules stand against its next step.

Examples:
  $ npm run backstop -- due
  $ npm run backstop -- due --workspace "Harbour Homes" --stage production`;

/** The command `due`. Throws errors and refusals as Problem. */
export function dueCommand(): Command {
  return withPlace(new Command("due"))
    .summary("count what is due, held and paused, by reason")
    .description(due.summary)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action(({ workspace, json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(due, { ...(workspace && { workspace }) });
        printAnswer(due, answer, { json, text: textOf(answer) });
      }),
    );
}

function textOf({ groups }: z.output<typeof due.answer>): string {
  if (groups.length === 0) return "No sequence is live: nothing is due.\n";
  const head = ["workspace", "live", "due now", "state", "first"];
  const rows = groups.map((group) => [
    group.workspace,
    group.instances,
    group.due,
    liveText(group),
    group.first ? formatMinute(group.first) : "",
  ]);
  return `${fittedTable({ head, rows, rightAligned: ["live", "due now"] }, columnsOf(process.stdout))}\n`;
}
