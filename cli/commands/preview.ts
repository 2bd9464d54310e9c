import { Command } from "commander";
import { unknownFields } from "../../lib/domain/field-lint.ts";
import type { TemplateLead } from "../../lib/domain/lead-columns.ts";
import { type Rendered, render } from "../../lib/domain/templates.ts";
import { readableMessage } from "../../lib/domain/unsubscribe-link.ts";
import { lintStep, sampleLeadFor } from "../../lib/domain/written-sequence.ts";
import type { Database } from "../../lib/store/connect.ts";
import { readFieldNames } from "../../lib/store/lead-fields.ts";
import { findStepToRender, findTemplateLead, type StepToRender } from "../../lib/store/lookups.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { folderOption, uuid } from "../terminal.ts";

const HELP = `
Renders with the code that sends, and sends nothing. Without --lead it uses a sample lead with complete data, so that only the
texts can be invalid. With --lead it also names the values that the lead lacks.

It does not check whether the lead may be contacted now; \`leads show\` does.

The text goes to standard output. Exits with 1 if the step's texts cannot be sent.

To find the ids of steps:
  select step.id, sequence.name, step.position from follow_up_step as step
    join follow_up_sequence as sequence on sequence.id = step.sequence_id;

Examples:
  $ npm run backstop -- preview 0190f0f0-0000-7000-8000-000000000001
  $ npm run backstop -- preview 0190f0f0-0000-7000-8000-000000000001 --lead 0190f0f0-0000-7000-8000-000000000002`;

interface Options {
  readonly lead?: string;
  readonly folder: string;
}

/** The command `preview <step>`. Throws errors as Problem; a step that cannot be sent sets the exit code. */
export function previewCommand(): Command {
  return new Command("preview")
    .summary("show the text of a step for a lead")
    .description("Renders a step for a lead, and prints its subject and body, or why it cannot be sent.")
    .argument("<step>", "the id of the step", uuid)
    .option("--lead <id>", "the lead to render for; by default a sample lead", uuid)
    .addOption(folderOption("folder of the local database"))
    .addHelpText("after", HELP)
    .action(async (stepId: string, { lead, folder }: Options) => {
      const { text, canBeSent } = await preview(stepId, lead, folder);
      print(text);
      process.exitCode = canBeSent ? 0 : 1;
    });
}

interface Preview {
  readonly text: string;
  readonly canBeSent: boolean;
}

const preview = (stepId: string, leadId: string | undefined, folder: string): Promise<Preview> =>
  withExistingDatabase(folder, (database) => previewOn(database, stepId, leadId));

async function previewOn(database: Database, stepId: string, leadId: string | undefined): Promise<Preview> {
  const step = await findStepToRender(database.prisma, stepId);
  if (!step)
    throw new Problem(`there is no step ${stepId}; \`npm run backstop -- preview --help\` shows how to find the ids`);
  const known = await readFieldNames(database.prisma, step.workspace.id);
  return previewOf(step, await findLead(database, step, leadId), leadId, known);
}

async function findLead({ prisma }: Database, { workspace, texts }: StepToRender, leadId: string | undefined) {
  if (leadId === undefined) return sampleLeadFor(texts);
  const lead = await findTemplateLead(prisma, workspace.id, leadId);
  if (!lead) throw new Problem(`the step's workspace, ${workspace.name}, has no lead ${leadId}`);
  return lead;
}

function previewOf(
  step: StepToRender,
  lead: TemplateLead,
  leadId: string | undefined,
  knownFields: readonly string[],
): Preview {
  const { texts, position, sequenceName, workspace } = step;
  const rendered = render(texts, lead, workspace);
  const unknown = unknownFields(texts, knownFields);
  const faults = [...lintStep(texts), ...unknown].map(({ part, message }) => `The ${part}: ${message}`);
  const recipient = leadId === undefined ? "a sample lead" : `the lead ${leadId}`;
  const heading = `Step ${position} of "${sequenceName}" (${texts.channel}), for ${recipient}`;
  const blocks = [heading, ...textOf(rendered, faults.length > 0), ...(faults.length > 0 ? [faults.join("\n")] : [])];
  return { text: `${blocks.join("\n\n")}\n`, canBeSent: rendered.kind === "rendered" && unknown.length === 0 };
}

function textOf(rendered: Rendered, linted: boolean): readonly string[] {
  switch (rendered.kind) {
    case "rendered": {
      const { subject, body } = readableMessage(rendered.message);
      return subject === null ? [body] : [`Subject: ${subject}`, body];
    }
    case "missing":
      return [`The step cannot be sent: the lead lacks ${rendered.names.join(", ")}`];
    case "invalid":
      return [linted ? "The step cannot be sent" : `The step cannot be sent: ${rendered.fault}`];
  }
}
