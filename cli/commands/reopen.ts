import { Command } from "commander";
import { databaseNow } from "../../lib/store/clock.ts";
import type { Database } from "../../lib/store/connect.ts";
import { reopenInstance } from "../../lib/store/reopen.ts";
import { onPool } from "../../lib/store/sql.ts";
import { someText, uuid } from "../arguments.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { Problem } from "../problem.ts";
import { inWords } from "../reason-texts.ts";
import { instantOf } from "../terminal.ts";

const LESSON = `
For a sequence that was stopped by mistake, by a booking that was none. No run ever does this: what has ended stays ended, unless a
person brings it back here, by name and with a reason.

Put the facts right first: while the lead is booked, has opted out or may not be contacted, it is refused. So it is while the lead
is in that sequence by another instance, and where no step is left.

It goes on at the first step that the stop kept from going out, otherwise where it stood, and due its delay after the last step, or now
where that is over. What was sent is not sent again, nor is what may have been (a touch whose outcome nobody knows). The next run
asks all its rules first, as ever.

Which ended, and why:
  select id, completed_at, completed_reason from follow_up_instance where lead_id = '…';

Exit code: 0 when it was reopened, 1 when it was refused, with the reason on standard error. \`explain\` tells the reopening.

Example:
  $ npm run backstop -- reopen 0190f0f0-0000-7000-8000-000000000001 --reason "the calendar sent a test booking" --by Hana`;

interface Choice {
  readonly reason: string;
  readonly by: string;
  readonly folder: string;
}

/** The command `reopen <instance>`. Throws errors and refusals as Problem. */
export function reopenCommand(): Command {
  return new Command("reopen")
    .summary("bring back a sequence that was stopped by mistake")
    .description("Makes an instance that has ended active again, and sends nothing that had been sent.")
    .argument("<instance>", "the id of the instance", uuid)
    .requiredOption("--reason <text>", "why; goes on record, so no name and no address", someText)
    .requiredOption("--by <name>", "who reopens it; goes on record", someText)
    .option("--folder <path>", "where the local database lies", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async (instanceId: string, { folder, ...record }: Choice) => {
      process.stdout.write(await withExistingDatabase(folder, (database) => reopen(database, instanceId, record)));
    });
}

async function reopen({ pool }: Database, instanceId: string, record: Omit<Choice, "folder">): Promise<string> {
  const statements = onPool(pool);
  const at = await databaseNow(statements);
  const answer = await reopenInstance(statements, { instanceId, ...record, at });
  if (answer.outcome === "refused") {
    throw new Problem(`instance ${instanceId} was not reopened: ${inWords(answer.reason)}`);
  }
  const { generation, position, nextStepDue } = answer;
  return `Reopened ${instanceId}: it goes on with step ${position}, due ${instantOf(nextStepDue)}, in generation ${generation}.\n`;
}
