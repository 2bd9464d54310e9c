import { Command } from "commander";
import { lintStep, SAMPLE_LEAD } from "../../lib/domain/lint-step.ts";
import { type Rendered, render } from "../../lib/domain/templates.ts";
import type { Database } from "../../lib/store/connect.ts";
import { findStepToRender, findTemplateLead, type StepToRender } from "../../lib/store/step-texts.ts";
import { uuid } from "../arguments.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { Problem } from "../problem.ts";

const LESSON = `
It renders with the code that sends, and sends nothing. Without --lead it takes a made-up lead of whom all is known: then only
the texts themselves can be at fault. With --lead it also tells which values that lead lacks.

Whether the lead may be sent anything at this moment is another question; this command does not ask it.

The text goes to standard output. The exit code is 0 when the step's texts can be sent, and 1 otherwise.

Where the ids are:
  select step.id, sequence.name, step.position from follow_up_step as step
    join follow_up_sequence as sequence on sequence.id = step.sequence_id;

Examples:
  $ npm run backstop -- preview 0190f0f0-0000-7000-8000-000000000001
  $ npm run backstop -- preview 0190f0f0-0000-7000-8000-000000000001 --lead 0190f0f0-0000-7000-8000-000000000002`;

interface Choice {
  readonly lead?: string;
  readonly folder: string;
}

/** The command `preview <step>`. Throws errors as Problem; a step that cannot be sent sets the exit code. */
export function previewCommand(): Command {
  return new Command("preview")
    .summary("show what a step would say to a lead")
    .description("Renders a step for a lead, and prints its subject and body, or what keeps it from being sent.")
    .argument("<step>", "the id of the step", uuid)
    .option("--lead <id>", "the lead that it is rendered for; a made-up one by default", uuid)
    .option("--folder <path>", "where the local database lies", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async (stepId: string, { lead, folder }: Choice) => {
      const { text, canBeSent } = await preview(stepId, lead, folder);
      process.stdout.write(text);
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
    throw new Problem(`there is no step ${stepId}; \`npm run backstop -- preview --help\` says where the ids are`);
  return previewOf(step, await leadOf(database, step, leadId), leadId);
}

async function leadOf({ prisma }: Database, { workspace }: StepToRender, leadId: string | undefined) {
  if (leadId === undefined) return SAMPLE_LEAD;
  const lead = await findTemplateLead(prisma, workspace.id, leadId);
  if (!lead) throw new Problem(`the step's workspace, ${workspace.name}, has no lead ${leadId}`);
  return lead;
}

function previewOf(step: StepToRender, lead: typeof SAMPLE_LEAD, leadId: string | undefined): Preview {
  const { texts, position, sequenceName, workspace } = step;
  const rendered = render(texts, lead, workspace);
  const faults = lintStep(texts).map(({ part, message }) => `The ${part}: ${message}`);
  const whom = leadId === undefined ? "a made-up lead" : `the lead ${leadId}`;
  const heading = `Step ${position} of "${sequenceName}" (${texts.channel}), for ${whom}`;
  const blocks = [heading, ...inWords(rendered, faults.length > 0), ...(faults.length > 0 ? [faults.join("\n")] : [])];
  return { text: `${blocks.join("\n\n")}\n`, canBeSent: rendered.kind === "rendered" };
}

function inWords(rendered: Rendered, linted: boolean): readonly string[] {
  switch (rendered.kind) {
    case "rendered": {
      const { subject, body } = rendered.message;
      return subject === null ? [body] : [`Subject: ${subject}`, body];
    }
    case "missing":
      return [`It cannot be sent: the lead lacks ${rendered.names.join(", ")}`];
    case "invalid":
      return [linted ? "It cannot be sent" : `It cannot be sent: ${rendered.fault}`];
  }
}
