import { Command } from "commander";
import { refusalText } from "../../lib/operate/refusal-texts.ts";
import type { Database } from "../../lib/store/connect.ts";
import { reopenInstance } from "../../lib/store/reopen.ts";
import { databaseNow, onPool } from "../../lib/store/sql.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { folderOption, formatMinute, nonBlank, uuid } from "../terminal.ts";

const HELP = `
Use it for a sequence that was stopped by mistake, for example by a test booking. A run never reopens an instance.

Correct the data first. Reopening is refused while the lead is booked, has opted out or must not be contacted, if another
instance of the same sequence is live for the lead, and if no step is left.

The instance continues at the first step that the stop prevented, otherwise at its old position. The step is due its delay after
the last step, or now if that time has passed. Touches that were sent, or whose outcome is unknown, are not sent again. The next
run checks all rules as usual.

To find the instances of a lead:
  select id, completed_at, completed_reason from follow_up_instance where lead_id = '…';

Exits with 1 if the reopening was refused, with the reason on standard error. \`explain\` shows a reopening.

Example:
  $ npm run backstop -- reopen 0190f0f0-0000-7000-8000-000000000001 --reason "the calendar sent a test booking" --by Hana`;

interface Options {
  readonly reason: string;
  readonly by: string;
  readonly folder: string;
}

/** The command `reopen <instance>`. Throws errors and refusals as Problem. */
export function reopenCommand(): Command {
  return new Command("reopen")
    .summary("reopen a sequence that was stopped by mistake")
    .description("Makes an ended instance active again. Nothing that was sent is sent again.")
    .argument("<instance>", "the id of the instance", uuid)
    .requiredOption("--reason <text>", "why; stored, so leave out names and addresses", nonBlank)
    .requiredOption("--by <name>", "who reopens it; stored", nonBlank)
    .addOption(folderOption("folder of the local database"))
    .addHelpText("after", HELP)
    .action(async (instanceId: string, { folder, ...record }: Options) => {
      print(await withExistingDatabase(folder, (database) => reopen(database, instanceId, record)));
    });
}

async function reopen({ pool }: Database, instanceId: string, record: Omit<Options, "folder">): Promise<string> {
  const statements = onPool(pool);
  const at = await databaseNow(statements);
  const answer = await reopenInstance(statements, { instanceId, ...record, at });
  if (answer.outcome === "refused") {
    throw new Problem(`instance ${instanceId} was not reopened: ${refusalText(answer.reason)}`);
  }
  const { generation, position, nextStepDue } = answer;
  return `Reopened ${instanceId}: it continues with step ${position}, due ${formatMinute(nextStepDue)}, in generation ${generation}.\n`;
}
