import { Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { bookLead, unbookLead } from "../../lib/operate/book-lead.ts";
import { enrolLead } from "../../lib/operate/enrol-lead.ts";
import { optInLead, optOutLead } from "../../lib/operate/opt-out-lead.ts";
import { recheckLead } from "../../lib/operate/recheck-lead.ts";
import { refusalText } from "../../lib/operate/refusal-texts.ts";
import { MOST_SNOOZED_DAYS, snoozeLead } from "../../lib/operate/snooze-lead.ts";
import { resumeLead, stopLead } from "../../lib/operate/stop-lead.ts";
import { type Place, type Signature, withOperator, withPlace, withSignature } from "../operator.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { formatMinute, wholeNumber } from "../terminal.ts";

type Ordered = Place & Signature & { readonly workspace?: string };

/** A command with the lead's name, the place, and who orders it and why. */
const orderOn = (name: string, summary: string): Command =>
  withSignature(withPlace(new Command(name)))
    .description(summary)
    .argument("<lead>", "an e-mail address, phone number, external id or id")
    .option("--workspace <id or name>", "only this workspace");

const named = (lead: string, { workspace }: Ordered) => ({ lead, ...(workspace !== undefined && { workspace }) });

/** `leads enrol`. */
export const enrolCommand = () =>
  orderOn("enrol", enrolLead.summary)
    .requiredOption("--sequence <id or name>", "the sequence to start")
    .option("--restart", "start from the first step if the lead is or was in the sequence", false)
    .action((lead: string, { sequence, restart, ...given }: Ordered & { sequence: string; restart: boolean }) =>
      withOperator(given, async (operator) => {
        const input = { ...named(lead, given), sequence, restart };
        const { automationEnabled, ...started } = await operator.order(enrolLead, input, given);
        const off = automationEnabled ? "" : " Automation is off for the lead, so it pauses: see leads resume.";
        print(`"${started.sequence}" has started.${off}\n`);
      }),
    );

/** `leads stop`. */
export const stopCommand = () =>
  orderOn("stop", stopLead.summary)
    .option("--sequence <id or name>", "only this sequence; without it, automation is switched off as well")
    .action((lead: string, { sequence, ...given }: Ordered & { readonly sequence?: string }) =>
      withOperator(given, async (operator) => {
        const input = { ...named(lead, given), ...(sequence !== undefined && { sequence }) };
        const { ended, cancelledTouches, sending } = await operator.order(stopLead, input, given);
        const late = sending > 0 ? ` ${sending} messages are being sent now, and may still arrive.` : "";
        const off = sequence === undefined ? " Automation is off." : "";
        print(`Ended ${ended} sequences and cancelled ${cancelledTouches} unsent messages.${off}${late}\n`);
      }),
    );

/** `leads resume`. */
export const resumeCommand = () =>
  orderOn("resume", resumeLead.summary).action((lead: string, given: Ordered) =>
    withOperator(given, async (operator) => {
      const { switchedOn, resuming } = await operator.order(resumeLead, named(lead, given), given);
      const state = switchedOn ? "Automation is on again." : "Automation was on already.";
      print(`${state} The next run resumes ${resuming} paused sequences. Ended ones stay ended: see reopen.\n`);
    }),
  );

/** `leads recheck`. */
export const recheckCommand = () =>
  orderOn("recheck", recheckLead.summary).action((lead: string, given: Ordered) =>
    withOperator(given, async (operator) => {
      const { rechecked } = await operator.order(recheckLead, named(lead, given), given);
      print(`The next run decides ${rechecked} held steps again.\n`);
    }),
  );

type SnoozeOptions = Ordered & { readonly until?: string; readonly days?: number; readonly end?: boolean };

/** `leads snooze`. */
export const snoozeCommand = () =>
  orderOn("snooze", snoozeLead.summary)
    .addOption(new Option("--until <date>", "the day on which it ends, such as 2026-12-24").argParser(dateOf))
    .addOption(
      new Option("--days <number>", "for so many days")
        .argParser(wholeNumber(1, MOST_SNOOZED_DAYS, "a number of days,"))
        .conflicts("until"),
    )
    .addOption(new Option("--end", "end the snooze now").conflicts(["until", "days"]))
    .action((lead: string, options: SnoozeOptions) =>
      withOperator(options, async (operator) => {
        const input = { ...named(lead, options), length: lengthOf(options) };
        const { until, zone } = await operator.order(snoozeLead, input, options);
        print(until ? `Snoozed until ${timeIn(zone, until)}.\n` : ENDED);
      }),
    );

const timeIn = (timeZone: string, at: Date): string =>
  `${new Intl.DateTimeFormat("sv", { timeZone, dateStyle: "short", timeStyle: "short" }).format(at)} in ${timeZone} (${formatMinute(at)})`;

const ENDED = "The snooze is over: the next run resumes what it paused.\n";

function lengthOf({ until, days, end }: SnoozeOptions) {
  if (until !== undefined) return { kind: "until", date: until } as const;
  if (days !== undefined) return { kind: "days", days } as const;
  if (end) return { kind: "end" } as const;
  throw new Problem("until when? Add --until <date>, --days <number> or --end");
}

function dateOf(text: string): string {
  if (z.iso.date().safeParse(text).success) return text;
  throw new InvalidArgumentError("Expected a date, such as 2026-12-24.");
}

/** `leads opt-out`. */
export const optOutCommand = () =>
  orderOn("opt-out", optOutLead.summary).action((lead: string, given: Ordered) =>
    withOperator(given, async (operator) => {
      const { ended, cancelledTouches } = await operator.order(optOutLead, named(lead, given), given);
      print(`Opted out. Ended ${ended} sequences and cancelled ${cancelledTouches} unsent messages.\n`);
    }),
  );

/** `leads opt-in`. */
export const optInCommand = () =>
  orderOn("opt-in", optInLead.summary).action((lead: string, given: Ordered) =>
    withOperator(given, async (operator) => {
      const { lifted, leads, barredBy } = await operator.order(optInLead, named(lead, given), given);
      const removed = lifted.map(({ kind, reason }) => `${reason} of the ${kind}`).join(", ");
      print(
        [
          lifted.length === 0 && leads === 0 ? "Nothing was suppressed." : `Removed: ${removed || "the opt-out"}.`,
          ...(leads > 1 ? [`The opt-out of ${leads} leads was taken back: they share the address or number.`] : []),
          barredBy === null
            ? "The lead may be contacted. Ended sequences stay ended: see reopen."
            : `The lead may still not be contacted: ${refusalText(barredBy)}.`,
          "",
        ].join("\n"),
      );
    }),
  );

type BookOptions = Ordered & { readonly starts: string; readonly minutes: number };

/** `leads book`. */
export const bookCommand = () =>
  orderOn("book", bookLead.summary)
    .requiredOption("--starts <time>", "in the lead's zone, such as 2027-03-01T10:00; or with an offset, such as Z")
    .option("--minutes <number>", "how long it takes", wholeNumber(1, 1_440, "a number of minutes,"), 60)
    .action((lead: string, { starts: startsAt, minutes, ...given }: BookOptions) =>
      withOperator(given, async (operator) => {
        const booked = await operator.order(bookLead, { ...named(lead, given), startsAt, minutes }, given);
        const { ended, cancelledTouches, started } = booked;
        const effects = `Ended ${ended} sequences, cancelled ${cancelledTouches} unsent messages and started ${started}.`;
        print(`Booked for ${timeIn(booked.zone, booked.startsAt)}. ${effects}\n`);
      }),
    );

/** `leads unbook`. */
export const unbookCommand = () =>
  orderOn("unbook", unbookLead.summary).action((lead: string, given: Ordered) =>
    withOperator(given, async (operator) => {
      const { ended } = await operator.order(unbookLead, named(lead, given), given);
      print(`No longer booked. Ended ${ended} sequences after the booking. What the booking ended: see reopen.\n`);
    }),
  );
