import { Command } from "commander";
import type * as z from "zod";
import { funnel } from "../../lib/operate/funnel.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { inZone } from "../lead-story.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";

const HELP = `
A first reply, a first booking and an opt-out count once, at the last message that was sent to the lead before.
A delivery, a bounce and a complaint count at their message, if the provider reports them.

--since and --until select messages by when they were sent, or last tried. Replies
to them count whenever they came. A date is one of the workspace's time zone, and
--until includes it. An instant needs a zone, as in 2027-03-01T14:00:00Z.

Examples:
  $ npm run backstop -- funnel
  $ npm run backstop -- funnel --since 2027-03-01 --until 2027-03-31
  $ npm run backstop -- funnel --workspace "Harbour Homes" --stage production --json`;

interface Options extends AskOptions {
  readonly since?: string;
  readonly until?: string;
}

/** The command `funnel`. Throws errors and refusals as Problem. */
export function funnelCommand(): Command {
  return withPlace(new Command("funnel"))
    .summary("show what became of the messages of each step")
    .description(funnel.summary)
    .option("--workspace <id or name>", "of this workspace; may be left out if there is only one")
    .option("--since <date or instant>", "messages from then on")
    .option("--until <date or instant>", "messages until the end of this date, or before this instant")
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action(({ workspace, since, until, json, ...place }: Options) =>
      withOperator(place, async (operator) => {
        const asked = { ...(workspace && { workspace }), ...(since && { since }), ...(until && { until }) };
        const answer = await operator.ask(funnel, asked);
        printAnswer(funnel, answer, { json, text: textOf(answer) });
      }),
    );
}

function textOf({ workspace, steps, since, until, zone, more }: z.output<typeof funnel.answer>): string {
  const local = inZone(zone);
  const from = since ? ` from ${local(since)}` : "";
  const to = until ? ` until ${local(until)}` : "";
  const period = from || to ? `Messages of ${workspace}${from}${to}, ${zone}` : "";
  if (steps.length === 0) return period ? `${period}: none.\n` : `Nothing was sent yet for ${workspace}.\n`;
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
  const table = fittedTable({ head, rows, rightAligned: head.slice(1) }, columnsOf(process.stdout));
  return `${period && `${period}:\n`}${table}\n${more ? "There are more steps: select a period.\n" : ""}`;
}
