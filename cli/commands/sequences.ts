import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type * as z from "zod";
import { CHANNELS, PLACEHOLDER_KINDS, SEQUENCE_TRIGGERS, STEP_CONDITIONS } from "../../lib/domain/labels.ts";
import { changeOf, type WrittenSequence } from "../../lib/domain/written-sequence.ts";
import { applySequences, planApplySequences } from "../../lib/operate/apply-sequences.ts";
import { exportSequences, listSequences, showSequence, writable } from "../../lib/operate/sequences.ts";
import { allPages } from "../all-pages.ts";
import { fileNamesFor } from "../file-names.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import {
  type AskOptions,
  type Place,
  printAnswer,
  type Review,
  requireYes,
  signatureOf,
  withOperator,
  withPlace,
  withReview,
} from "../operator.ts";
import { print, printable } from "../print.ts";
import { fileProblem, Problem } from "../problem.ts";
import { describeChanges } from "../sequence-diff.ts";
import { invalidFiles, readSequenceFiles, writeSequenceFile } from "../sequence-file.ts";
import { eachNewField, showAdvice, showProgress } from "../terminal.ts";

const names = new Intl.ListFormat("en-GB", { type: "disjunction" });
const oneOf = (labels: readonly string[]): string => names.format(labels);

const APPLY_HELP = `
A file has one sequence, which the workspace identifies by its name. The folder sequences/ has examples:

  name: Chase after a demo
  triggerOn: no_response            ${oneOf(SEQUENCE_TRIGGERS)}
  active: true                      an inactive sequence holds its leads; default true
  steps:
    - key: recap                    identifies the step, also after it moves
      delay: 0 minutes              after the previous step; for the first step, after the start
      channel: email                ${oneOf(CHANNELS)}
      subject: For {{ lead.first_name }}
      body: |                       literal text, line by line; other texts with ": " need quotes
        Hello {{ lead.first_name }}, ...
      condition: no_reply           ${oneOf(STEP_CONDITIONS)}; default always
      needsApproval: true           a person approves each text; default false
      timeToLive: 2 days            an older step expires; default never
      allow: [square_brackets]      sends placeholders of other tools as they are; default none

Texts such as [First Name], {first_name} or <b> are errors, because they would be sent as they are. Kinds for allow:
${PLACEHOLDER_KINDS.join(", ")}.

If any file is invalid, the command prints all errors with their positions and applies nothing. It shows the changes and asks
before it applies them in one transaction. Applying the same files again is a no-op.

Texts may use the custom fields of the workspace's leads, as in {{ lead.fields.job_title }}. A field that no lead has yet is an
error, unless --new-field names it.

Advice on standard error prevents nothing: a step that expires before the send window opens, a text that needs a value that
leads lack, and a sequence that nothing starts.

Leads in the sequence keep the steps, the order and the delays that they started with. Texts, channel, condition, approval and
time to live change for every lead that has not reached the step. Sequences without a file are unchanged.

Exits with 1 if nothing was applied.

Examples:
  $ npm run backstop -- sequences apply sequences/*.yaml --dry-run
  $ npm run backstop -- sequences apply sequences/*.yaml --workspace "Harbour Homes" --by Hana --reason "new texts"`;

type Options = Place & { readonly workspace?: string };

/** The commands `sequences list|show|export|apply`. Throw errors and refusals as Problem. */
export function sequencesCommand(): Command {
  return new Command("sequences")
    .summary("apply sequences from files; list, show or export them")
    .description("Applies sequences from YAML files that you can version and review; lists, shows and exports them.")
    .addCommand(
      withReview(command("apply", applySequences.summary))
        .argument("<files...>", "YAML files, one sequence each")
        .option("--new-field <name>", "a custom field that leads get later; repeatable", eachNewField, [])
        .addHelpText("after", APPLY_HELP)
        .action((files: string[], options: ApplyOptions) => apply(files, options)),
    )
    .addCommand(
      command("list", listSequences.summary)
        .option("--json", "print the answer as JSON")
        .action((options: AskOptions) => list(options)),
    )
    .addCommand(
      command("show", `${showSequence.summary} The output is a file for \`sequences apply\`.`)
        .argument("<sequence>", "the id or the name")
        .option("--json", "print the answer as JSON")
        .action((sequence: string, options: AskOptions) => show(sequence, options)),
    )
    .addCommand(
      command("export", "Writes the sequences of a workspace to files; applying them is a no-op.")
        .argument("<directory>", "folder for the files; existing files are not overwritten")
        .addHelpText("after", "\nExample:\n  $ npm run backstop -- sequences export exported/")
        .action((directory: string, options: Options) => exportTo(resolve(directory), options)),
    );
}

const command = (name: string, description: string): Command =>
  withPlace(new Command(name))
    .description(description)
    .option("--workspace <id or name>", "required if there are several workspaces");

type ApplyOptions = Options & Review & { readonly newField: readonly string[] };

async function apply(paths: readonly string[], options: ApplyOptions): Promise<void> {
  const signature = signatureOf(options);
  const { sequences, faults } = await readSequenceFiles(paths);
  if (faults.length > 0) throw invalidFiles(faults, "applied");
  await withOperator(options, async (operator, signal) => {
    const asked = { sequences: sequences.map(writable), newFields: [...options.newField] };
    const answer = await operator.ask(planApplySequences, { ...inWorkspace(options), ...asked });
    const { plans, advice, workspace, workspaceId, unknownFields } = answer;
    if (unknownFields.length > 0) {
      throw invalidFiles(unknownFields, "applied", "; --new-field <name> allows a field that leads get later");
    }
    const shown = plans.map((plan, index) => shownPlan(plan, sequences[index]));
    print(`${shown.map(describeChanges).join("\n")}\n`);
    showAdvice(advice);
    if (!signature || shown.every(({ change }) => change.isNone)) return;
    await requireYes(`Apply these changes to ${workspace}?`, options, signal);
    const seen = plans.map(({ fingerprint }) => fingerprint);
    await operator.order(applySequences, { workspaceId, ...asked, seen }, signature);
    showProgress(`Applied to ${workspace}`);
  });
}

const inWorkspace = ({ workspace }: Options) => (workspace === undefined ? {} : { workspace });

function shownPlan(plan: z.output<typeof planApplySequences.answer>["plans"][number], after?: WrittenSequence) {
  if (!after) throw new Error("the answer has more plans than there are files");
  return { ...plan, after, change: changeOf(plan.before ?? undefined, after) };
}

const list = ({ json, ...options }: AskOptions): Promise<void> =>
  withOperator(options, async (operator) => {
    const answer = await operator.ask(listSequences, inWorkspace(options));
    printAnswer(listSequences, answer, { json, text: tableOf(answer) });
  });

function tableOf({ workspace, sequences }: z.output<typeof listSequences.answer>): string {
  if (sequences.length === 0) return printable(`${workspace} has no sequence yet.\n`);
  const head = ["sequence", "starts on", "steps", "version", "leads", "state"];
  const rows = sequences.map(({ name, triggerOn, steps, version, live, active }) => {
    return [printable(name), triggerOn, steps, version, live, active ? "active" : "inactive"];
  });
  return `${fittedTable({ head, rows }, columnsOf(process.stdout))}\n`;
}

const show = (sequence: string, { json, ...options }: AskOptions): Promise<void> =>
  withOperator(options, async (operator) => {
    const answer = await operator.ask(showSequence, { ...inWorkspace(options), sequence });
    const head = `# version ${answer.version}, ${answer.id}\n`;
    printAnswer(showSequence, answer, { json, text: printable(head + writeSequenceFile(answer.sequence)) });
  });

async function exportTo(directory: string, options: Options): Promise<void> {
  await withOperator(options, async (operator) => {
    const { sequences: written } = await allPages(operator, exportSequences, inWorkspace(options), "sequences");
    const names = fileNamesFor(written.map(({ name }) => name));
    const paths = names.map((name) => join(directory, `${name}.yaml`));
    requireNew(paths);
    await mkdir(directory, { recursive: true });
    for (const [place, sequence] of written.entries()) {
      const path = paths[place] ?? "";
      await writeNew(path, writeSequenceFile(sequence));
      print(`${path}\n`);
    }
  });
}

function requireNew(paths: readonly string[]): void {
  const existing = paths.filter((path) => existsSync(path));
  if (existing.length === 0) return;
  const exist = existing.length === 1 ? "already exists" : "already exist";
  throw new Problem(`nothing was exported: ${existing.join(", ")} ${exist}; move them, or choose another directory`);
}

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: "wx" }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EEXIST") throw fileProblem(cause, path) ?? cause;
    throw new Problem(`${path} already exists: move it, or choose another directory`, { cause });
  });
}
