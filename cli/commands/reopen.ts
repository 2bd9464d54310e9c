import { Command } from "commander";
import { reopen } from "../../lib/operate/reopen.ts";
import { type Place, type Signature, withOperator, withPlace, withSignature } from "../operator.ts";
import { print } from "../print.ts";
import { formatMinute } from "../terminal.ts";

const HELP = `
Use it for a sequence that was stopped by mistake, for example by a test booking. A run never reopens an instance.

Correct the data first. Reopening is refused while the lead is booked, has opted out or must not be contacted. It is also refused
if no step is left, or if another instance of the same sequence is live for the lead.

The instance continues at the first step that the stop prevented, otherwise at its old position. The step is due its delay after
the last step, or now if that time has passed. Touches that were sent, or whose outcome is unknown, are not sent again. The next
run checks all rules as usual.

Exits with 1 if the reopening was refused, with the reason on standard error. \`leads show\` prints the sequences of a lead, and its reopenings.

Example:
  $ npm run backstop -- reopen ada@example.com Chase --by Hana --reason "a test booking"`;

type Ordered = Place & Signature & { readonly workspace?: string };

/** The command `reopen <lead> <sequence>`. Throws errors and refusals as Problem. */
export function reopenCommand(): Command {
  return withSignature(withPlace(new Command("reopen")))
    .summary("reopen a sequence that was stopped by mistake")
    .description(reopen.summary)
    .argument("<lead>", "an e-mail address, phone number, external id or id")
    .argument("<sequence>", "its name or id")
    .option("--workspace <id or name>", "only this workspace")
    .addHelpText("after", HELP)
    .action((lead: string, sequence: string, { by, reason, workspace, ...place }: Ordered) =>
      withOperator(place, async (operator) => {
        const input = { lead, sequence, ...(workspace && { workspace }) };
        const { generation, position, nextStepDue } = await operator.order(reopen, input, { by, reason });
        const due = formatMinute(nextStepDue);
        print(`Reopened "${sequence}": it continues with step ${position}, due ${due}, in generation ${generation}.\n`);
      }),
    );
}
