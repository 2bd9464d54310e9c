type MigrationFailureCode =
  | "migration_failed"
  | "migration_failed_before"
  | "migration_edited"
  | "migrations_missing"
  | "migrations_locked"
  | "server_too_old"
  | "schema_not_public"
  | "database_not_empty"
  | "migration_history_unusable";

/**
 * Some or all migrations were not applied. The message names the cause and the fix, and quotes the database's error.
 */
export class MigrationFailed extends Error {
  override readonly name = "MigrationFailed";
  readonly code: MigrationFailureCode;
  /** The migration at fault, if there is one. */
  readonly migration: string | undefined;

  private constructor(
    code: MigrationFailureCode,
    migration: string | undefined,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.migration = migration;
  }

  static now(migration: string, reason: string, cause: unknown): MigrationFailed {
    const message = `migration ${migration} failed: ${reason}. Its changes were rolled back. ${CORRECT_AND_RETRY}`;
    return new MigrationFailed("migration_failed", migration, message, { cause });
  }

  static before(migration: string, history: { startedAt: Date; logs: string | null }): MigrationFailed {
    const reason = databaseMessage(history.logs);
    const what = reason ? `failed: ${reason}` : "was interrupted";
    const message = `migration ${migration}, started at ${timeOf(history.startedAt)}, ${what}. Nothing was applied. ${CORRECT_AND_RETRY}`;
    return new MigrationFailed("migration_failed_before", migration, message);
  }

  static edited(migration: string, history: { startedAt: Date }): MigrationFailed {
    const message = `migration ${migration} was changed after it was applied at ${timeOf(history.startedAt)}. Nothing was applied. Restore its migration.sql and put the change into a new migration`;
    return new MigrationFailed("migration_edited", migration, message);
  }

  static noMigrations(directory: string, reason: string, cause?: unknown): MigrationFailed {
    const message = `found no migrations in ${directory}: ${reason}`;
    return new MigrationFailed("migrations_missing", undefined, message, { cause });
  }

  static locked(minutes: number, pid: number | undefined, cause: unknown): MigrationFailed {
    const terminate = `If no migration is running, a pooler kept its lock: end it with SELECT pg_terminate_backend(${pid ?? "pid"})`;
    const message = `another migrator (process ${pid ?? "unknown"}) has held the lock for ${minutes} minutes. Nothing was applied. Wait until it ends, then migrate again. ${terminate}`;
    return new MigrationFailed("migrations_locked", undefined, message, { cause });
  }

  static serverTooOld(version: string): MigrationFailed {
    const message = `the database runs PostgreSQL ${version}, but Backstop needs PostgreSQL 15 or later (tested up to 18). Nothing was written`;
    return new MigrationFailed("server_too_old", undefined, message);
  }

  static notPublic(schema: string | null, role: string): MigrationFailed {
    return new MigrationFailed("schema_not_public", undefined, `${notPublic(schema, role)}. Nothing was written`);
  }

  /** Converts an error that the engine itself raised. */
  static from(error: unknown): MigrationFailed {
    if (error instanceof MigrationFailed) return error;
    if (error instanceof Error && "code" in error && error.code === "P3005") {
      const message = "the database has tables but no migration history. Nothing was applied. Use an empty database";
      return new MigrationFailed("database_not_empty", undefined, message, { cause: error });
    }
    const text = error instanceof Error ? error.message : String(error);
    const reason = databaseMessage(text) ?? text.split("\n")[0];
    return new MigrationFailed(
      "migration_history_unusable",
      undefined,
      `the migrations could not be applied: ${reason}`,
      { cause: error },
    );
  }
}

/** Backstop's SQL functions always use `public` and ignore the session's search path. */
export const notPublic = (schema: string | null, role: string): string =>
  `Backstop uses only the schema public, but this connection uses ${schema ?? "none"}: ALTER ROLE ${role} SET search_path = public`;

const CORRECT_AND_RETRY = "Correct its migration.sql, then migrate again with --retry-failed";

/** Extracts the one useful line: the engine logs its own stack around it. */
function databaseMessage(logs: string | null): string | undefined {
  return logs?.match(/(?:ERROR|FATAL): (.+)/)?.[1];
}

function timeOf(instant: Date): string {
  return Number.isNaN(instant.getTime()) ? "an unknown time" : instant.toISOString();
}
