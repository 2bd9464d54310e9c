import { Command } from "commander";
import type * as z from "zod";
import { listOrders } from "../../lib/operate/list-orders.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";
import { formatMinute, numberOption, uuid } from "../terminal.ts";

const HELP = `
Every order leaves a record: its name, who gave it, when and why, and the id of the AWS request. CloudTrail knows the caller by
that id. "leads show" shows the orders of one lead.

Examples:
  $ npm run backstop -- orders list --stage production
  $ npm run backstop -- orders list --order reopen --workspace "Harbour Homes" --limit 100`;

interface Listing extends AskOptions {
  readonly order?: string;
  readonly after?: string;
  readonly limit: number;
}

/** The command `orders list`. Throws errors and refusals as Problem. */
export function ordersCommand(): Command {
  return new Command("orders")
    .summary("list the orders that people gave")
    .description("Lists the orders that people gave.")
    .addCommand(
      withPlace(new Command("list"))
        .description(listOrders.summary)
        .option("--order <name>", 'only orders of this name, such as "leads stop"')
        .option("--workspace <id or name>", "only this workspace")
        .addOption(numberOption("--limit <number>", "how many", listOrders.input.shape.limit))
        .option("--after <order>", "only orders older than this one", uuid)
        .option("--json", "print the answer as JSON")
        .action(({ order, workspace, after, limit: wanted, json, ...place }: Listing) =>
          withOperator(place, async (operator) => {
            const query = { ...(order && { order }), ...(workspace && { workspace }), ...(after && { after }) };
            const answer = await operator.ask(listOrders, { ...query, limit: wanted });
            printAnswer(listOrders, answer, { json, text: listText(answer) });
          }),
        ),
    )
    .addHelpText("after", HELP);
}

function listText({ orders, next }: z.output<typeof listOrders.answer>): string {
  if (orders.length === 0) return "No order was given yet.\n";
  const rows = orders.map(({ at, name, workspace, leadId, by, reason }) => [
    formatMinute(at),
    name,
    [workspace ?? "all workspaces", leadId && `lead ${leadId}`].filter(Boolean).join("\n"),
    `${by}: ${reason}`,
  ]);
  const table = fittedTable({ head: ["time", "order", "on", "by, and why"], rows }, columnsOf(process.stdout));
  return `${table}\n${next === null ? "" : `Older orders: --after ${next}\n`}`;
}
