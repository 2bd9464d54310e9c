import { Command } from "commander";
import type * as z from "zod";
import { preview } from "../../lib/operate/preview.ts";
import { type AskOptions, printAnswer, withOperator, withPlace } from "../operator.ts";

const HELP = `
Renders with the code that sends, and sends nothing. Without --lead it uses a sample lead with complete data, so that only the
texts can be invalid. With --lead it also names the values that the lead lacks.

It does not check whether the lead may be contacted now; \`leads show\` does.

The text goes to standard output. Exits with 1 if the step's texts cannot be sent.

Examples:
  $ npm run backstop -- preview Chase 1
  $ npm run backstop -- preview Chase recap --lead ada@example.com --stage production`;

interface Options extends AskOptions {
  readonly lead?: string;
}

/** The command `preview`. Throws errors and refusals as Problem; a step that cannot be sent sets the exit code. */
export function previewCommand(): Command {
  return withPlace(new Command("preview"))
    .summary("show the text of a step for a lead")
    .description(preview.summary)
    .argument("<sequence>", "the id or the name")
    .argument("<step>", "its number or its key")
    .option("--lead <lead>", "an e-mail address, phone number, external id or id; by default a sample lead")
    .option("--workspace <id or name>", "may be left out if there is only one")
    .option("--json", "print the answer as JSON")
    .addHelpText("after", HELP)
    .action((sequence: string, step: string, { lead, workspace, json, ...place }: Options) =>
      withOperator(place, async (operator) => {
        const who = { ...(lead && { lead }), ...(workspace && { workspace }) };
        const answer = await operator.ask(preview, { sequence, step, ...who });
        printAnswer(preview, answer, { json, text: textOf(answer) });
        process.exitCode = answer.text !== null && answer.faults.length === 0 ? 0 : 1;
      }),
    );
}

function textOf({
  sequence,
  position,
  channel,
  leadId,
  text,
  missing,
  faults,
}: z.output<typeof preview.answer>): string {
  const recipient = leadId === null ? "a sample lead" : `the lead ${leadId}`;
  const blocks = [`Step ${position} of "${sequence}" (${channel}), for ${recipient}`];
  if (text === null) {
    blocks.push(`The step cannot be sent${missing.length > 0 ? `: the lead lacks ${missing.join(", ")}` : ""}`);
  } else {
    blocks.push(...(text.subject === null ? [] : [`Subject: ${text.subject}`]), text.body);
  }
  if (faults.length > 0) blocks.push(faults.join("\n"));
  return `${blocks.join("\n\n")}\n`;
}
