import { Command } from "commander";
import type * as z from "zod";
import { findLeads } from "../../lib/operate/find-leads.ts";
import { showLead } from "../../lib/operate/show-lead.ts";
import { storyText } from "../lead-story.ts";
import { type Place, printAnswer, withOperator, withPlace } from "../operator.ts";

type Asked = Place & { readonly workspace?: string; readonly json?: boolean };

const asking = (command: Command): Command =>
  withPlace(command)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON");

/** `leads find`. */
export const findCommand = () =>
  asking(new Command("find"))
    .description(findLeads.summary)
    .argument("<text>", "part of a name, company or address; or a whole number or id")
    .action((text: string, { workspace, json, ...place }: Asked) =>
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
    .action((lead: string, { workspace, json, ...place }: Asked) =>
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
