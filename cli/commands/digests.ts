import { Command } from "commander";
import type * as z from "zod";
import { listDigests, resend } from "../../lib/operate/digests.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import {
  type AskOptions,
  type Place,
  printAnswer,
  type Signature,
  withOperator,
  withPlace,
  withSignature,
} from "../operator.ts";
import { print } from "../print.ts";
import { formatMinute, uuid } from "../terminal.ts";

const HELP = `
A digest is lost if its receiver refused it, or if its sender died and it may or may not have arrived. Correct the cause first. A
digest that had arrived and is sent again arrives twice.

Examples:
  $ npm run backstop -- digests list --stage production
  $ npm run backstop -- digests resend 0190f0f0-0000-7000-8000-000000000001 --by Hana --reason "address corrected"`;

/** The command `digests list|resend`. Throws errors and refusals as Problem. */
export function digestsCommand(): Command {
  return new Command("digests")
    .summary("list lost digests, or send one again")
    .description("Lists digests that failed or may not have arrived, and sends them again.")
    .addCommand(listCommand())
    .addCommand(resendCommand())
    .addHelpText("after", HELP);
}

const listCommand = () =>
  withPlace(new Command("list"))
    .description(listDigests.summary)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON")
    .action(({ workspace, json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(listDigests, { ...(workspace && { workspace }) });
        printAnswer(listDigests, answer, { json, text: listText(answer) });
      }),
    );

const resendCommand = () =>
  withSignature(withPlace(new Command("resend")))
    .description(resend.summary)
    .argument("<digest>", "the id of the digest", uuid)
    .action((digest: string, { by, reason, ...place }: Place & Signature) =>
      withOperator(place, async (operator) => {
        await operator.order(resend, { digest }, { by, reason });
        print(`The next run sends the digest ${digest}.\n`);
      }),
    );

function listText({ digests, more }: z.output<typeof listDigests.answer>): string {
  if (digests.length === 0) return "No digest is lost.\n";
  const rows = digests.map(({ id, workspace, channel, status, reason, windowStart, windowEnd }) => [
    id,
    [status, reason].filter((part) => part !== null).join("\n"),
    `${workspace}\nby ${channel}`,
    `${formatMinute(windowStart)}\n${formatMinute(windowEnd)}`,
  ]);
  const table = fittedTable({ head: ["digest", "status", "workspace", "reports on"], rows }, columnsOf(process.stdout));
  return `${table}\n${more ? `Only the first ${digests.length} are shown.\n` : ""}`;
}
