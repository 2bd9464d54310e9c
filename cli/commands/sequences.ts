import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { CHANNELS, PLACEHOLDER_KINDS, SEQUENCE_TRIGGERS, STEP_CONDITIONS } from "../../lib/domain/labels.ts";
import type { Database } from "../../lib/store/connect.ts";
import { SequenceRefused } from "../../lib/store/sequence-to-save.ts";
import { findStoredSequences, planSequences, type SequencePlan, saveSequences } from "../../lib/store/sequences.ts";
import { chooseWorkspace, withExistingDatabase } from "../existing-database.ts";
import { fileNamesFor } from "../file-names.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { print } from "../print.ts";
import { fileProblem, Problem } from "../problem.ts";
import { describeChanges } from "../sequence-diff.ts";
import { readSequenceFiles, writeSequenceFile } from "../sequence-file.ts";
import { confirm, showProgress } from "../terminal.ts";

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

Leads in the sequence keep the steps, the order and the delays that they started with. Texts, channel, condition, approval and
time to live change for every lead that has not reached the step. Sequences without a file are unchanged.

Exit code: 0 if the changes were applied or shown with --dry-run, 1 otherwise.

Examples:
  $ npm run backstop -- sequences apply sequences/*.yaml --dry-run
  $ npm run backstop -- sequences apply sequences/*.yaml --workspace "Harbour Homes" --yes`;

interface Options {
  readonly workspace?: string;
  readonly folder: string;
}

/** The commands `sequences apply` and `sequences export`. Throw errors as Problem. */
export function sequencesCommand(): Command {
  return new Command("sequences")
    .summary("apply sequences from files, or export them")
    .description("Applies sequences from YAML files that you can version and review, or exports them.")
    .addCommand(
      command("apply", "change the sequences of a workspace to match the files")
        .argument("<files...>", "YAML files, one sequence each")
        .option("--dry-run", "only show the changes")
        .option("--yes", "apply without a question")
        .addHelpText("after", APPLY_HELP)
        .action((files: string[], options: ApplyOptions) => apply(files, options)),
    )
    .addCommand(
      command("export", "write the sequences of a workspace to files; applying them is a no-op")
        .argument("<directory>", "folder for the files; existing files are not overwritten")
        .addHelpText("after", "\nExample:\n  $ npm run backstop -- sequences export exported/")
        .action((directory: string, options: Options) => exportTo(resolve(directory), options)),
    );
}

const command = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .option("--workspace <id or name>", "required if there are several workspaces")
    .option("--folder <path>", "folder of the local database", LOCAL_FOLDER);

interface ApplyOptions extends Options {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

async function apply(paths: readonly string[], options: ApplyOptions): Promise<void> {
  const { sequences, faults } = await readSequenceFiles(paths);
  if (faults.length > 0) throw invalidFiles(faults);
  await withExistingDatabase(options.folder, async (database, signal) => {
    const workspace = await chooseWorkspace(database, options.workspace);
    const plans = await planSequences(database.prisma, workspace.id, sequences);
    print(`${plans.map(describeChanges).join("\n")}\n`);
    if (options.dryRun || plans.every(({ change }) => change.isNone)) return;
    if (!options.yes && !(await confirm(`Apply these changes to ${workspace.name}?`, signal))) {
      throw new Problem("nothing was applied");
    }
    await save(database, workspace.id, plans);
    showProgress(`Applied to ${workspace.name}`);
  });
}

async function save({ prisma }: Database, workspaceId: string, plans: readonly SequencePlan[]): Promise<void> {
  const sequences = plans.map(({ after }) => after);
  try {
    await saveSequences(prisma, workspaceId, sequences, plans);
  } catch (thrown) {
    throw thrown instanceof SequenceRefused ? invalidFiles(thrown.faults) : thrown;
  }
}

function invalidFiles(faults: readonly string[]): Problem {
  for (const fault of faults) showProgress(fault);
  return new Problem(`nothing was applied: correct the ${faults.length} errors above and try again`);
}

async function exportTo(directory: string, options: Options): Promise<void> {
  await withExistingDatabase(options.folder, async (database) => {
    const workspace = await chooseWorkspace(database, options.workspace);
    const stored = await findStoredSequences(database.prisma, workspace.id);
    const written = stored.flatMap((sequence) => sequence.written ?? []);
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
