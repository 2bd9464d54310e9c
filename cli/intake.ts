import { Command } from "commander";
import { applyEvent } from "../lib/run/intake/apply-messages.ts";
import { intakeStore } from "../lib/store/intake-store.ts";
import { withExistingDatabase } from "./existing-database.ts";
import { readEventText } from "./invoke.ts";
import { LOCAL_FOLDER } from "./postgres/local-database.ts";

const LESSON = `
The event is what EventBridge would hand on: "detail-type" names the fact, "detail" holds what docs/events.md says.

What became of it goes to standard output as JSON: applied, stale, duplicate, or refused with the reason. The exit code is 1 where
it was refused. Nothing is kept as a dead letter.

Examples:
  $ npm run backstop -- intake events/intake/lead.enrolled.json
  $ jq '.detail.eventId = "mine"' events/intake/meeting.booked.json | npm run backstop -- intake -`;

/** The command `intake <file>`. Throws errors as Problem. */
export function intakeCommand(): Command {
  return new Command("intake")
    .summary("apply an event: a booking, a reply, an enrolment")
    .description("Applies a fact about leads as functions/intake.ts does, once, and prints what became of it.")
    .argument("<file>", "a JSON file with the event; - reads standard input")
    .option("--folder <path>", "where the local database lies", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async (file: string, { folder }: { folder: string }) => {
      const body = await readEventText(file);
      const outcome = await withExistingDatabase(folder, (database) => applyEvent(body, intakeStore(database)));
      process.stdout.write(`${JSON.stringify(outcome, null, 2)}\n`);
      process.exitCode = outcome.outcome === "refused" ? 1 : 0;
    });
}
