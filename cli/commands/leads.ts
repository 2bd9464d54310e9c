import { basename } from "node:path";
import { Command } from "commander";
import * as z from "zod";
import { LEAD_COLUMNS, LEAD_KEYS } from "../../lib/domain/lead-columns.ts";
import { onPool } from "../../lib/store/sql.ts";
import { chooseWorkspace, withExistingDatabase } from "../existing-database.ts";
import { type Imported, importLeads } from "../import-leads.ts";
import { openLeadFile } from "../lead-file.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { Spinner, showProgress } from "../terminal.ts";

const LESSON = `
The file is CSV in UTF-8: a heading, then one lead a line. A lead needs an email or an external_id, by which it is known again; what a
cell leaves empty stays as it was.

  ${LEAD_KEYS.map((key) => LEAD_COLUMNS[key].column).join(",")}
  ${LEAD_KEYS.map((key) => LEAD_COLUMNS[key].example).join(",")}

Beside leads.csv stands leads.verdicts.csv afterwards: each row with its line, its verdict and the reason.

  enrolled            the lead is in the sequence from now on
  already_enrolled    it is or was in it; nothing was started
  booked              it has a meeting, so nothing is to chase it
  opted_out           it, or its address, wants to hear nothing
  complained          it, or its address, complained of a message
  invalid             the row is broken, or the lead is not to be contacted; the reason says which

A row that is invalid keeps no other out. It is done a thousand rows at a time; stopped anywhere, it can be run again, and nobody is
enrolled twice. The verdict file can be corrected and imported itself.

The exit code is 0 where no row was invalid, and 1 otherwise.

Example:
  $ npm run backstop -- leads import leads.csv --sequence "Chase after no reply" --workspace "Harbour Homes"`;

interface Choice {
  readonly sequence: string;
  readonly workspace?: string;
  readonly folder: string;
}

/** The command `leads import`. Throws errors as Problem; an invalid row sets the exit code. */
export function leadsCommand(): Command {
  return new Command("leads")
    .summary("bring leads in")
    .addCommand(
      new Command("import")
        .description("Enrols the leads of a CSV file in a sequence, and makes those that are not known yet.")
        .argument("<file>", "the CSV file")
        .requiredOption("--sequence <id or name>", "the sequence that they enter")
        .option("--workspace <id or name>", "needed where there are several")
        .option("--folder <path>", "where the local database lies", LOCAL_FOLDER)
        .addHelpText("after", LESSON)
        .action(importFrom),
    );
}

async function importFrom(path: string, choice: Choice): Promise<void> {
  const file = await openLeadFile(path);
  const verdictPath = `${path.replace(/\.csv$/i, "")}.verdicts.csv`;
  const imported = await withExistingDatabase(choice.folder, async (database, signal) => {
    const { id: workspaceId } = await chooseWorkspace(database, choice.workspace);
    const sequence = z.guid().safeParse(choice.sequence).success ? { id: choice.sequence } : { name: choice.sequence };
    const spinner = new Spinner();
    const onProgress = (rows: number) => spinner.tell(`Importing ${basename(path)}`, `: ${rows} rows`);
    const task = { workspaceId, sequence, verdictPath, onProgress, signal };
    return await importLeads(onPool(database.pool), file, task).finally(() => spinner.stop());
  });
  tell(imported, verdictPath);
}

function tell({ counts, invalid }: Imported, verdictPath: string): void {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const lines = Object.entries(counts).map(([verdict, count]) => `  ${verdict} ${count}`);
  process.stdout.write(`${[`${all} rows`, ...lines, `Each with its verdict: ${verdictPath}`].join("\n")}\n`);
  for (const { line, reason } of invalid) showProgress(`line ${line}: ${reason}`);
  const untold = (counts["invalid"] ?? 0) - invalid.length;
  if (untold > 0) showProgress(`and ${untold} more, which the file tells`);
  process.exitCode = invalid.length > 0 ? 1 : 0;
}
