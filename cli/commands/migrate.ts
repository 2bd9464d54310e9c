import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { type Migrated, type MigrationProgress, migrate } from "../../lib/store/migrate.ts";
import { MigrationFailed } from "../../lib/store/migration-failed.ts";
import { withDatabase } from "../postgres/local-database.ts";
import { Problem } from "../problem.ts";
import { showProgress } from "../terminal.ts";

const MIGRATIONS = fileURLToPath(new URL("../../prisma/migrations", import.meta.url));

export function migrateCommand(): Command {
  return new Command("migrate")
    .summary("bring the database up to date")
    .description(
      "Applies the migrations in prisma/migrations that the database lacks, to DATABASE_URL where it is set and to the " +
        "local database otherwise. Doing it twice is harmless. The history is in the table _prisma_migrations.",
    )
    .option("--retry-failed", "apply again what failed or was cut off before, after you have corrected it")
    .action(async ({ retryFailed }: { retryFailed?: boolean }) => {
      const { applied } = await withDatabase((url) => migrateDatabase(url, { retryFailed, onProgress: showProgress }), {
        onProgress: showProgress,
      });
      const lines =
        applied.length > 0
          ? applied.map((name) => `applied ${name}`)
          : ["nothing to apply: the database is up to date"];
      process.stdout.write(`${lines.join("\n")}\n`);
    });
}

export interface MigrateDatabaseOptions {
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
      { directory: MIGRATIONS, retryFailed, onProgress: (progress) => onProgress(inWords(progress)) },
    );
  } catch (error) {
    throw error instanceof MigrationFailed ? new Problem(error.message, { cause: error }) : error;
  }
}

const holderInWords = (holder: { pid: number; application: string } | undefined) =>
  holder ? ` (process ${[holder.pid, holder.application].filter(Boolean).join(", ")})` : "";

function inWords(progress: MigrationProgress): string {
  switch (progress.kind) {
    case "waiting":
      return `Waiting for another migrator of this database to end${holderInWords(progress.holder)}`;
    case "ahead":
      return `The database is ahead of this checkout by ${progress.migrations.join(", ")}`;
    case "applying":
      return `Applying migration ${progress.number} of ${progress.of}: ${progress.migration}`;
  }
}
