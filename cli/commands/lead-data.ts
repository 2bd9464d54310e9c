import { Command } from "commander";
import type * as z from "zod";
import { eraseLead } from "../../lib/operate/erase-lead.ts";
import { exportLead } from "../../lib/operate/export-lead.ts";
import { findLeads } from "../../lib/operate/find-leads.ts";
import { showLead } from "../../lib/operate/show-lead.ts";
import { storyText } from "../lead-story.ts";
import {
  type AskOptions,
  type Operator,
  type Place,
  printAnswer,
  type Review,
  requireYes,
  signatureOf,
  withOperator,
  withPlace,
  withReview,
} from "../operator.ts";
import { print } from "../print.ts";
import { showProgress } from "../terminal.ts";

type Named = Place & { readonly workspace?: string };

const about = (command: Command): Command =>
  withPlace(command)
    .argument("<lead>", "an e-mail address, phone number, external id or id")
    .option("--workspace <id or name>", "only this workspace");

const EXPORT_HELP = `
Prints JSON: the rows of each table, as stored. Suppressions are hashes. Texts of messages are included.

Example:
  $ npm run --silent backstop -- leads export ada@example.com > ada.json`;

/** `leads export`. */
export const exportCommand = () =>
  about(new Command("export"))
    .description(exportLead.summary)
    .addHelpText("after", EXPORT_HELP)
    .action((lead: string, { workspace, ...place }: Named) =>
      withOperator(place, async (operator) => {
        const { others, ...exported } = await everythingAbout(operator, lead, workspace);
        print(`${JSON.stringify(exported, null, 2)}\n`);
        if (others.length > 0) showProgress(othersText(others));
      }),
    );

const ERASE_HELP = `
Deletes the lead, its sequences, messages, tasks, meetings, reopenings and digest events. Hashes of its address, its number and the
addresses that messages went to stay suppressed, so that a later import enrols no lead with them. Other leads with the address or
number stay, and get no message any more. Orders about the lead keep who and when, and lose their reason and answer.

It does not reach copies elsewhere: backups, dead-letter queues, providers, your CRM, files of an import.

Example:
  $ npm run backstop -- leads erase ada@example.com --by Hana --reason "request 4711"`;

/** `leads erase`. */
export const eraseCommand = () =>
  withReview(about(new Command("erase")))
    .description(eraseLead.summary)
    .addHelpText("after", ERASE_HELP)
    .action((lead: string, { workspace, ...options }: Named & Review) =>
      withOperator(options, async (operator, signal) => {
        const signature = signatureOf(options);
        const { leadId, others, ...found } = await everythingAbout(operator, lead, workspace);
        const counts = Object.entries(found.tables).map(([table, rows]) => `  ${table} ${rows.length}`);
        print(`Lead ${leadId} in ${found.workspace}\n${counts.join("\n")}\n`);
        if (others.length > 0) print(`${othersText(others)}\n`);
        if (!signature) return print("Dry run: nothing was erased.\n");
        await requireYes("Erase it for good?", options, signal);
        // Names the lead by id, because the order stores a hash of its input, which must not be one of an address.
        const { deleted, ended } = await operator.order(eraseLead, { lead: leadId }, signature);
        const rows = Object.values(deleted).reduce((sum, count) => sum + count, 0);
        print(`Erased: deleted ${rows} rows and ended ${ended} sequences.\n`);
      }),
    );

const othersText = (others: readonly string[]): string =>
  `Other leads have the address or number, and are not included: ${others.join(", ")}`;

/** All pages of `leads export`. */
async function everythingAbout(operator: Operator, lead: string, workspace: string | undefined) {
  const named = { lead, ...(workspace !== undefined && { workspace }) };
  const first = await operator.ask(exportLead, named);
  const { leadId, workspaceId, others } = first;
  const tables: Record<string, unknown[]> = {};
  let page = first;
  for (;;) {
    tables[page.table] = [...(tables[page.table] ?? []), ...page.rows];
    if (!page.next) return { leadId, workspaceId, workspace: first.workspace, others, tables };
    page = await operator.ask(exportLead, { lead: leadId, from: page.next });
  }
}

const asking = (command: Command): Command =>
  withPlace(command)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON");

/** `leads find`. */
export const findCommand = () =>
  asking(new Command("find"))
    .description(findLeads.summary)
    .argument("<text>", "part of a name, company or address; or a whole number or id")
    .action((text: string, { workspace, json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(findLeads, { text, ...(workspace && { workspace }) });
        printAnswer(findLeads, answer, { json, text: foundText(answer) });
      }),
    );

/** `leads show`. */
export const showCommand = () =>
  asking(new Command("show"))
    .description(showLead.summary)
    .argument("<lead>", "an e-mail address, phone number, external id, or the id of the lead, an instance or a touch")
    .action((lead: string, { workspace, json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(showLead, { lead, ...(workspace && { workspace }) });
        printAnswer(showLead, answer, { json, text: `${storyText(answer)}\n` });
      }),
    );

function foundText({ leads, more }: z.output<typeof findLeads.answer>): string {
  if (leads.length === 0) return "No lead was found.\n";
  const lines = leads.map(({ id, firstName, lastName, email, phone, status, workspace }) => {
    const names = [[firstName, lastName].filter(Boolean).join(" "), email, phone].filter(Boolean).join(", ");
    return `${id}  ${names}\n${" ".repeat(38)}${status}, in ${workspace}`;
  });
  return `${lines.join("\n")}\n${more ? `Only the first ${leads.length} are shown: narrow the search.\n` : ""}`;
}
