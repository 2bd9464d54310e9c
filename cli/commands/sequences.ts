import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Command } from "commander";
import type { Database } from "../../lib/store/connect.ts";
import { SequenceRefused } from "../../lib/store/sequence-to-save.ts";
import { saveSequences } from "../../lib/store/sequences.ts";
import { findSequences, planSequences, type SequencePlan } from "../../lib/store/stored-sequences.ts";
import { chooseWorkspace, withExistingDatabase } from "../existing-database.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { fileProblem, Problem } from "../problem.ts";
import { diffInWords } from "../sequence-diff.ts";
import { readSequenceFiles, writeSequenceFile } from "../sequence-file.ts";
import { confirm, showProgress } from "../terminal.ts";

const APPLY_LESSON = `
A file is one sequence; its name says which one of the workspace. The folder sequences/ has examples:

  name: Chase after a demo
  triggerOn: no_response            no_response, meeting_selected, manual, setter_reply or meeting_missed
  active: true                      what is not active holds its leads; true where it is not said
  steps:
    - key: recap                    by it this stays the same step, wherever it moves
      delay: 0 minutes              after the step before it; after the start for the first
      channel: email                email, sms, webhook or task
      subject: For {{ lead.first_name }}
      body: |                       as it stands, line by line; other texts need quotes where they hold ": "
        Hello {{ lead.first_name }}, ...
      condition: no_reply           always, phone_provided, linkedin_connected or no_reply; always by default
      needsApproval: true           a person approves each; false by default
      timeToLive: 2 days            older than that it is passed over; never by default

All faults of all files are told with their places, and then nothing is applied. The changes are shown before they are made;
they are made all or none, and applying the same files again changes nothing.

Leads who are inside keep the steps, the order and the delays that they started with. What a step says, its channel, condition,
approval and time to live change for everybody who still has it ahead. A sequence that no file names is left alone.

Examples:
  $ npm run backstop -- sequences apply sequences/*.yaml --dry-run
  $ npm run backstop -- sequences apply sequences/*.yaml --workspace "Harbour Homes" --yes`;

interface Choice {
  readonly workspace?: string;
  readonly folder: string;
}

/** The commands `sequences apply` and `sequences export`. Throw errors as Problem. */
export function sequencesCommand(): Command {
  return new Command("sequences")
    .summary("keep sequences as files")
    .description("Sequences as YAML files, which can be kept and reviewed with everything else.")
    .addCommand(
      command("apply", "make the sequences of a workspace what the files say")
        .argument("<files...>", "YAML files, one sequence each")
        .option("--dry-run", "only show what would change")
        .option("--yes", "do not ask before it is applied")
        .addHelpText("after", APPLY_LESSON)
        .action((files: string[], choice: ApplyChoice) => apply(files, choice)),
    )
    .addCommand(
      command("export", "write the sequences of a workspace into files; applying these changes nothing")
        .argument("<directory>", "where the files are written; none that is there is overwritten")
        .addHelpText("after", "\nExample:\n  $ npm run backstop -- sequences export exported/")
        .action((directory: string, choice: Choice) => exportTo(resolve(directory), choice)),
    );
}

const command = (name: string, description: string): Command =>
  new Command(name)
    .description(description)
    .option("--workspace <id or name>", "needed where there are several")
    .option("--folder <path>", "where the local database lies", LOCAL_FOLDER);

interface ApplyChoice extends Choice {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

async function apply(paths: readonly string[], choice: ApplyChoice): Promise<void> {
  const { sequences, faults } = await readSequenceFiles(paths);
  if (faults.length > 0) throw refused(faults);
  await withExistingDatabase(choice.folder, async (database, signal) => {
    const workspace = await chooseWorkspace(database, choice.workspace);
    const plans = await planSequences(database.prisma, workspace.id, sequences);
    process.stdout.write(`${plans.map(diffInWords).join("\n")}\n`);
    if (choice.dryRun || plans.every(({ change }) => change.isNone)) return;
    if (!choice.yes && !(await confirm(`Apply this to ${workspace.name}?`, signal))) {
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
    throw thrown instanceof SequenceRefused ? refused(thrown.faults) : thrown;
  }
}

function refused(faults: readonly string[]): Problem {
  for (const fault of faults) showProgress(fault);
  return new Problem(`nothing was applied: correct the above (${faults.length}), and run this again`);
}

async function exportTo(directory: string, choice: Choice): Promise<void> {
  await withExistingDatabase(choice.folder, async (database) => {
    const workspace = await chooseWorkspace(database, choice.workspace);
    const stored = await findSequences(database.prisma, workspace.id);
    await mkdir(directory, { recursive: true });
    const used = new Set<string>();
    for (const { name, written } of stored) {
      if (!written) continue;
      const path = join(directory, `${freeName(name, used)}.yaml`);
      await writeNew(path, writeSequenceFile(written));
      process.stdout.write(`${path}\n`);
    }
  });
}

/** A file name of letters, digits and hyphens, numbered if it is used already. */
function freeName(name: string, used: Set<string>): string {
  const plain =
    name
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}]+/gu, "-")
      .replaceAll(/^-+|-+$/g, "")
      .slice(0, 60) || "sequence";
  const free = used.has(plain) ? `${plain}-${used.size + 1}` : plain;
  used.add(free);
  return free;
}

async function writeNew(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: "wx" }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EEXIST") throw fileProblem(cause, path) ?? cause;
    throw new Problem(`${path} is there already: move it away, or choose another directory`, { cause });
  });
}
