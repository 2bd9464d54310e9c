import { basename } from "node:path";
import { Command } from "commander";
import { LEAD_COLUMNS, LEAD_KEYS } from "../../lib/domain/lead-columns.ts";
import { CLOCKS_DIFFER_MS } from "../../lib/domain/time-zone.ts";
import { showWorkspace } from "../../lib/operate/workspaces.ts";
import { CRM_EXPORTS } from "../csv/crm-exports.ts";
import { isFieldTarget } from "../csv/field-columns.ts";
import { type Imported, importLeadFile, type Remark, type RowWithVerdict } from "../import-leads.ts";
import { type LeadFile, openLeadFile } from "../lead-file.ts";
import { type Place, type Signature, withOperator, withPlace } from "../operator.ts";
import { print } from "../print.ts";
import { UsageProblem } from "../problem.ts";
import { formatMinute, nonBlank, Spinner, showProgress } from "../terminal.ts";
import { createVerdictFile, type VerdictFile } from "../verdict-file.ts";
import { eraseCommand, exportCommand, findCommand, showCommand } from "./lead-data.ts";
import {
  bookCommand,
  enrolCommand,
  optInCommand,
  optOutCommand,
  recheckCommand,
  resumeCommand,
  snoozeCommand,
  stopCommand,
  unbookCommand,
} from "./lead-orders.ts";

const HELP = `
The file is CSV: a heading, then one row for each lead. Each lead needs an email or an external_id, which identify it. An empty
cell leaves the stored value unchanged.

${LEAD_KEYS.map((key) => `  ${LEAD_COLUMNS[key].column.padEnd(18)}  ${LEAD_COLUMNS[key].example}`).join("\n")}

Exports of ${CRM_EXPORTS.map(({ name }) => name)
  .sort()
  .join(", ")} are read with their own columns. The import detects commas, semicolons, tabs and
pipes, and UTF-8, UTF-16 and Windows-1252, and prints what it found.

An invalid value of an optional cell is dropped with a warning, and the lead is enrolled. National phone numbers are numbers of the
row's Country, or else of the workspace's country (holiday_country), and are stored in the international form. Rows whose column
says that the person opted out are not enrolled.

Other columns become custom fields: texts read Job Title as {{ lead.fields.job_title }}. --map "Job Title=fields.role" gives it
another name.

The import writes leads.verdicts.csv next to leads.csv: each row with its line, its verdict and the reason.

  enrolled            the lead is now in the sequence
  already_enrolled    the lead is or was in the sequence; nothing was started
  booked              the lead has a meeting, so that no sequence starts
  opted_out           the lead, its address or a column of the file has opted out
  complained          the lead or its address reported a message as spam
  invalid             the row is invalid, or the lead must not be contacted; see the reason

An invalid row does not affect other rows. Each transaction enrols a thousand rows. After an interruption, run the import again:
no lead is enrolled twice. You can correct the verdict file and import it.

With --stage, the rows go to the stage's function in orders, which need --by and --reason, except with --dry-run. The same command with the same file
continues where it stopped: a repeated order is a no-op and returns its first verdicts.

Exits with 1 if a row was invalid.

Examples:
  $ npm run backstop -- leads import leads.csv --sequence "Chase after no reply" --workspace "Harbour Homes" --dry-run
  $ npm run backstop -- leads import leads.csv --sequence Chase --map "Work Email=email" --ignore-other-columns
  $ npm run backstop -- leads import leads.csv --sequence Chase --stage production --by Hana --reason "trade fair"`;

const EXAMPLES = `
Name a lead by its e-mail address, phone number, external id or id, or by the id of one of its instances or touches.
If several leads match, add --workspace, or use the id. Orders need --by and --reason, which "leads show" lists.

Examples:
  $ npm run backstop -- leads find "ada by"
  $ npm run backstop -- leads show ada@example.com --stage production
  $ npm run backstop -- leads stop ada@example.com --sequence Chase --by Hana --reason "called us"
  $ npm run backstop -- leads snooze +4930123456 --until 2026-12-24 --by Hana --reason "on holiday"
  $ npm run backstop -- leads book ada@example.com --starts 2027-03-01T10:00 --by Hana --reason "by phone"
  $ npm run backstop -- leads opt-in ada@example.com --by Hana --reason "corrected mailbox"`;

interface Options extends Place, Partial<Signature> {
  readonly sequence: string;
  readonly workspace?: string;
  readonly map: readonly string[];
  readonly ignoreOtherColumns: boolean;
  readonly dryRun: boolean;
}

/** The command `leads import`. Throws errors as Problem; an invalid row sets the exit code. */
export function leadsCommand(): Command {
  return new Command("leads")
    .summary(
      "find, show, import, enrol, stop, resume, snooze, recheck, opt out, opt in, book, unbook, export or erase leads",
    )
    .addHelpText("after", EXAMPLES)
    .addCommand(findCommand())
    .addCommand(showCommand())
    .addCommand(enrolCommand())
    .addCommand(stopCommand())
    .addCommand(resumeCommand())
    .addCommand(snoozeCommand())
    .addCommand(recheckCommand())
    .addCommand(optOutCommand())
    .addCommand(optInCommand())
    .addCommand(bookCommand())
    .addCommand(unbookCommand())
    .addCommand(exportCommand())
    .addCommand(eraseCommand())
    .addCommand(
      withPlace(new Command("import"))
        .description("Enrols the leads of a CSV file in a sequence, and creates the leads that do not exist yet.")
        .argument("<file>", "the CSV file")
        .requiredOption("--sequence <id or name>", "the sequence to enrol them in")
        .option("--workspace <id or name>", "required if there are several workspaces")
        .option(
          "--map <heading=column>",
          "read a column of the file as a column or custom field of the lead; repeatable",
          collect,
          [],
        )
        .option("--ignore-other-columns", "leave out columns that would become custom fields", false)
        .option("--dry-run", "print the verdicts and write nothing", false)
        .option("--by <name>", "who imports; required with --stage, not for a dry run; stored", nonBlank)
        .option(
          "--reason <text>",
          "why; required with --stage, not for a dry run; stored, so leave out names and addresses",
          nonBlank,
        )
        .addHelpText("after", HELP)
        .action(importFrom),
    );
}

const collect = (pair: string, before: readonly string[]): readonly string[] => [...before, pair];

async function importFrom(path: string, options: Options): Promise<void> {
  const file = await openLeadFile(path, options);
  showProgress(describe(path, file));
  const verdictPath = `${path.replace(/\.csv$/i, "")}.verdicts.csv`;
  const signature = importSignatureOf(options);
  const startedAt = Date.now();
  const imported = await withOperator(
    options,
    async (operator, signal) => {
      const { workspace: named, sequence, dryRun } = options;
      const { id: workspaceId, holidays } = await operator.ask(showWorkspace, { ...(named && { workspace: named }) });
      const verdicts = dryRun ? PRINTED : withProgress(await createVerdictFile(verdictPath, file), path);
      const task = { ...signature, workspaceId, country: holidays.country, sequence, dryRun };
      return await importLeadFile(operator, file, { ...task, onVerdicts: verdicts.write, signal }).finally(
        verdicts.close,
      );
    },
    { quiet: true },
  );
  printCounts(imported, options.dryRun ? undefined : verdictPath);
  showEarlier(imported, startedAt);
}

/**
 * The name of the person who imports, and the reason. On a database, where no permission names the caller, it may be
 * left out.
 */
function importSignatureOf({ stage, dryRun, by, reason }: Options) {
  if (by !== undefined && reason !== undefined) return { by, reason, once: true };
  if ((dryRun || stage === undefined) && by === undefined && reason === undefined)
    return { by: "(not given)", reason: "(not given)", once: false };
  throw new UsageProblem("who imports, and why? Add --by <name> and --reason <text>");
}

/** Verdicts of an earlier start of the same command are of that time. */
function showEarlier({ since }: Imported, startedAt: number): void {
  if (since === null || +since > startedAt - CLOCKS_DIFFER_MS) return;
  showProgress(
    `Rows that the same command imported before, since ${formatMinute(since)}, have the verdicts of then. ` +
      "To import them again, use another --reason",
  );
}

/** Writes verdicts, and shows the number of rows until it is closed. */
function withProgress({ write, close }: VerdictFile, path: string): VerdictFile {
  const spinner = new Spinner();
  let count = 0;
  return {
    write: async (rows) => {
      await write(rows);
      count += rows.length;
      spinner.show(`Importing ${basename(path)}`, `: ${count} rows`);
    },
    close: () => {
      spinner.stop();
      return close();
    },
  };
}

/** The verdicts of a dry run, one line for each row. */
const PRINTED: VerdictFile = {
  write: (rows) => Promise.resolve(print(rows.map(verdictLine).join(""))),
  close: () => Promise.resolve(),
};

const verdictLine = ({ line, verdict, reason }: RowWithVerdict): string =>
  `line ${line}: ${verdict}${reason ? `, ${reason}` : ""}\n`;

const DELIMITER_NAMES: Readonly<Record<string, string>> = {
  ",": "commas",
  ";": "semicolons",
  "\t": "tabs",
  "|": "pipes",
};

/** How the file is read: its encoding, its delimiter, its CRM, and the columns that are custom fields or are not imported. */
function describe(path: string, { encoding, delimiter, crm, places, ignored }: LeadFile): string {
  const kind = `${encoding} with ${DELIMITER_NAMES[delimiter] ?? JSON.stringify(delimiter)}`;
  const from = crm ? `, an export of ${crm.name}` : "";
  const check = encoding === "windows-1252" ? "; if names look wrong, save it as CSV UTF-8" : "";
  const fields = [...places.keys()].filter(isFieldTarget);
  const named = fields.length > 0 ? `\nCustom fields: ${fields.join(", ")}` : "";
  const left = ignored.length > 0 ? `\nNot imported: ${ignored.join(", ")}` : "";
  return `${basename(path)} is ${kind}${from}${check}${named}${left}`;
}

function printCounts({ counts, invalid, warned, warnings }: Imported, verdictPath: string | undefined): void {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const lines = Object.entries(counts).map(([verdict, count]) => `  ${verdict} ${count}`);
  const dropped = warned > 0 ? [`${warned} rows with a warning`] : [];
  const end = verdictPath === undefined ? "Dry run: nothing was written" : `Verdicts: ${verdictPath}`;
  print(`${[`${all} rows`, ...lines, ...dropped, end].join("\n")}\n`);
  if (verdictPath !== undefined) {
    showRemarks(invalid, counts["invalid"] ?? 0, verdictPath);
    showRemarks(warnings, warned, verdictPath);
  }
  process.exitCode = invalid.length > 0 ? 1 : 0;
}

function showRemarks(remarks: readonly Remark[], count: number, verdictPath: string): void {
  for (const { line, reason } of remarks) showProgress(`line ${line}: ${reason}`);
  if (count > remarks.length) showProgress(`and ${count - remarks.length} more; see ${verdictPath}`);
}
