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

const HELP = `
The file is CSV in UTF-8: a heading, then one lead per line. Each lead needs an email or an external_id, which identify it. An
empty cell leaves the stored value unchanged.

  ${LEAD_KEYS.map((key) => LEAD_COLUMNS[key].column).join(",")}
  ${LEAD_KEYS.map((key) => LEAD_COLUMNS[key].example).join(",")}

The import writes leads.verdicts.csv next to leads.csv: each row with its line, its verdict and the reason.

  enrolled            the lead is now in the sequence
  already_enrolled    the lead is or was in the sequence; nothing was started
  booked              the lead has a meeting, so that no sequence starts
  opted_out           the lead or its address has opted out
  complained          the lead or its address reported a message as spam
  invalid             the row is invalid, or the lead must not be contacted; see the reason

An invalid row does not affect other rows. Each transaction enrols a thousand rows. After an interruption, run the import again:
no lead is enrolled twice. You can correct the verdict file and import it.

Exit code: 0 if no row was invalid, 1 otherwise.

Example:
  $ npm run backstop -- leads import leads.csv --sequence "Chase after no reply" --workspace "Harbour Homes"`;

interface Options {
  readonly sequence: string;
  readonly workspace?: string;
  readonly folder: string;
}

/** The command `leads import`. Throws errors as Problem; an invalid row sets the exit code. */
export function leadsCommand(): Command {
  return new Command("leads")
    .summary("import leads from a CSV file")
    .addCommand(
      new Command("import")
        .description("Enrols the leads of a CSV file in a sequence, and creates the leads that do not exist yet.")
        .argument("<file>", "the CSV file")
        .requiredOption("--sequence <id or name>", "the sequence to enrol them in")
        .option("--workspace <id or name>", "required if there are several workspaces")
        .option("--folder <path>", "folder of the local database", LOCAL_FOLDER)
        .addHelpText("after", HELP)
        .action(importFrom),
    );
}

async function importFrom(path: string, options: Options): Promise<void> {
  const file = await openLeadFile(path);
  const verdictPath = `${path.replace(/\.csv$/i, "")}.verdicts.csv`;
  const imported = await withExistingDatabase(options.folder, async (database, signal) => {
    const { id: workspaceId } = await chooseWorkspace(database, options.workspace);
    const sequence = z.guid().safeParse(options.sequence).success
      ? { id: options.sequence }
      : { name: options.sequence };
    const spinner = new Spinner();
    const onProgress = (rows: number) => spinner.show(`Importing ${basename(path)}`, `: ${rows} rows`);
    const task = { workspaceId, sequence, verdictPath, onProgress, signal };
    return await importLeads(onPool(database.pool), file, task).finally(() => spinner.stop());
  });
  printCounts(imported, verdictPath);
}

function printCounts({ counts, invalid }: Imported, verdictPath: string): void {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const lines = Object.entries(counts).map(([verdict, count]) => `  ${verdict} ${count}`);
  process.stdout.write(`${[`${all} rows`, ...lines, `Verdicts: ${verdictPath}`].join("\n")}\n`);
  for (const { line, reason } of invalid) showProgress(`line ${line}: ${reason}`);
  const notShown = (counts["invalid"] ?? 0) - invalid.length;
  if (notShown > 0) showProgress(`and ${notShown} more; see ${verdictPath}`);
  process.exitCode = invalid.length > 0 ? 1 : 0;
}
