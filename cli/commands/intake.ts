import { Command } from "commander";
import { takeInEvent } from "../../lib/operate/take-in-event.ts";
import { applyEvent } from "../../lib/run/apply-messages.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { readEvent, readEventText } from "../event-file.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { type Place, type Signature, withOperator, withPlace } from "../operator.ts";
import { print } from "../print.ts";
import { UsageProblem } from "../problem.ts";
import { nonBlank } from "../terminal.ts";

const HELP = `
The event has the form that EventBridge delivers: "detail-type" names the fact,
"detail" has the fields of docs/events.md. For a booking that a person made by
phone, "leads book" needs no file.

The outcome goes to standard output as JSON: applied, stale, duplicate, or
refused with the reason. A refused event is not stored. An eventId is applied
once.

With --stage, the function operate of the stage applies it, as an order with
--by and --reason.

Exits with 1 if the event was refused.

Examples:
  $ npm run backstop -- intake events/intake/lead.enrolled.json
  $ npm run backstop -- intake no-show.json --stage production --by Hana --reason "did not come"
  $ jq '.detail.eventId = "mine"' events/intake/meeting.booked.json |
      npm run backstop -- intake -`;

type Options = Place & Partial<Signature>;

/** The command `intake <file>`. Throws errors as Problem. */
export function intakeCommand(): Command {
  return withPlace(new Command("intake"))
    .summary("apply an event, such as a booking, a reply or an enrolment")
    .description("Applies one event as functions/intake.ts does, and prints the outcome.")
    .argument("<file>", "JSON file with the event; - reads standard input")
    .option("--by <name>", "who reports it; required with --stage; stored", nonBlank)
    .option("--reason <text>", "why; required with --stage; stored, so leave out names and addresses", nonBlank)
    .addHelpText("after", HELP)
    .action(async (file: string, options: Options) => {
      const outcomes = await outcomesOf(file, options);
      for (const outcome of outcomes) print(`${JSON.stringify(outcome, null, 2)}\n`);
      process.exitCode = outcomes.some(({ outcome }) => outcome === "refused") ? 1 : 0;
    });
}

/** Without a signature, it is what the function of a stage would do, and no order. */
async function outcomesOf(file: string, { by, reason, ...place }: Options) {
  if (place.stage === undefined && by === undefined && reason === undefined) {
    const body = await readEventText(file);
    return await withExistingDatabase(place.folder, (database) => applyEvent(body, intakeStore(database)));
  }
  if (by === undefined || reason === undefined)
    throw new UsageProblem("who reports it, and why? Add --by <name> and --reason <text>");
  const event = (await readEvent(file)) as Readonly<Record<string, unknown>>;
  const { outcomes } = await withOperator(place, (operator) => operator.order(takeInEvent, event, { by, reason }));
  return outcomes;
}
