import { Command } from "commander";
import type * as z from "zod";
import { funnel } from "../../lib/operate/funnel.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { type Place, printAnswer, withOperator, withPlace } from "../operator.ts";

const HELP = `
A first reply, a first booking and an opt-out count once, at the last message that was sent to the lead before.
A delivery, a bounce and a complaint count at their message, if the provider reports them.

Examples:
  $ npm run backstop -- funnel
  $ npm run backstop -- funnel --workspace "Harbour Homes" --stage production --json`;

/** The command `funnel`. Throws errors and refusals as Problem. */
export function funnelCommand(): Command {
  return withPlace(new Command("funnel"))
    .summary("show what became of the messages of each step")
    .description(funnel.summary)
    .option("--workspace <id or name>", "of this workspace; may be left out if there is only one")
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action(({ workspace, json, ...place }: Place & { readonly workspace?: string; readonly json?: boolean }) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(funnel, { ...(workspace && { workspace }) });
        printAnswer(funnel, answer, { json, text: textOf(answer) });
      }),
    );
}

function textOf({ workspace, steps }: z.output<typeof funnel.answer>): string {
  if (steps.length === 0) return `Nothing was sent yet for ${workspace}.\n`;
  const head = ["step", "sent", "delivered", "replied", "booked", "opted out", "bounced", "spam", "failed"];
  const rows = steps.map((step) => [
    `${step.sequence} v${step.version}, step ${step.position} (${step.channel})`,
    step.sent,
    step.delivered,
    step.replied,
    step.booked,
    step.optedOut,
    step.undeliverable,
    step.complained,
    step.failed,
  ]);
  return `${fittedTable({ head, rows, rightAligned: head.slice(1) }, columnsOf(process.stdout))}\n`;
}
