import { Command } from "commander";
import type * as z from "zod";
import { facts } from "../../lib/operate/facts.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";
import { formatMinute, numberOption } from "../terminal.ts";

const HELP = `
A warning names what was wrong with a fact that was applied nevertheless, because it stops something. Correct its sender.

Examples:
  $ npm run backstop -- facts
  $ npm run backstop -- facts --days 7 --workspace "Harbour Homes" --stage production`;

interface Options extends AskOptions {
  readonly days: number;
}

/** The command `facts`. Throws errors and refusals as Problem. */
export function factsCommand(): Command {
  return withPlace(new Command("facts"))
    .summary("count the facts that were received, with their warnings")
    .description(facts.summary)
    .addOption(numberOption("--days <number>", "of the last days", facts.input.shape.days))
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action(({ days: wanted, workspace, json, ...place }: Options) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(facts, { days: wanted, ...(workspace && { workspace }) });
        printAnswer(facts, answer, { json, text: textOf(answer) });
      }),
    );
}

function textOf({ since, groups }: z.output<typeof facts.answer>): string {
  if (groups.length === 0) return `No fact was received since ${formatMinute(since)}.\n`;
  const rows = groups.map((group) => [group.facts, group.type, group.outcome, group.warning ?? ""]);
  const table = { head: ["facts", "type", "outcome", "warning"], rows, rightAligned: ["facts"] };
  return `${fittedTable(table, columnsOf(process.stdout))}\n`;
}
