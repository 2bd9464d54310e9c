import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { type Migrated, type MigrationProgress, migrate } from "../../lib/store/migrate.ts";
import { MigrationFailed } from "../../lib/store/migration-failed.ts";
import { withDatabase } from "../postgres/local-database.ts";
import { Problem } from "../problem.ts";
import { showProgress } from "../terminal.ts";

const MIGRATIONS = fileURLToPath(new URL("../../prisma/migrations", import.meta.url));

const HELP = `
Exits with 1 if a migration failed.

Examples:
  $ npm run backstop -- migrate
  $ DATABASE_URL=postgresql://me:secret@db.example.com/backstop npm run backstop -- migrate`;

/** The command `migrate`. Throws errors as Problem. */
export function migrateCommand(): Command {
  return new Command("migrate")
    .summary("apply pending migrations")
    .description(
      "Applies the pending migrations of prisma/migrations to DATABASE_URL, or to the local database. The table " +
        "_prisma_migrations has the history. Without pending migrations, the command is a no-op.",
    )
    .option("--retry-failed", "apply a failed or interrupted migration again, after you have corrected it")
    .addHelpText("after", HELP)
    .action(async ({ retryFailed }: { retryFailed?: boolean }) => {
      const { applied } = await withDatabase((url) => migrateDatabase(url, { retryFailed, onProgress: showProgress }), {
        onProgress: showProgress,
      });
      const lines =
        applied.length > 0
          ? applied.map((name) => `applied ${name}`)
          : ["no pending migrations: the database is up to date"];
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}

interface MigrateDatabaseOptions {
  readonly retryFailed?: boolean | undefined;
  readonly onProgress: (line: string) => void;
}

/** Applies this checkout's migrations. Throws a Problem if one fails, `DatabaseUnreachable` if there is no database. */
export async function migrateDatabase(
  url: string,
  { retryFailed, onProgress }: MigrateDatabaseOptions,
): Promise<Migrated> {
  try {
    return await migrate(
      { connectionString: url, application_name: "backstop migrate" },
      { directory: MIGRATIONS, retryFailed, onProgress: (progress) => onProgress(progressText(progress)) },
    );
  } catch (error) {
    throw error instanceof MigrationFailed ? new Problem(error.message, { cause: error }) : error;
  }
}

const holderText = (holder: { pid: number; application: string } | undefined) =>
  holder ? ` (process ${[holder.pid, holder.application].filter(Boolean).join(", ")})` : "";

function progressText(progress: MigrationProgress): string {
  switch (progress.kind) {
    case "waiting":
      return `Waiting for another process that migrates this database${holderText(progress.holder)}`;
    case "ahead":
      return `The database has migrations that this checkout lacks: ${progress.migrations.join(", ")}`;
    case "applying":
      return `Applying migration ${progress.number} of ${progress.of}: ${progress.migration}`;
  }
}
