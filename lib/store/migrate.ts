import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { MigrationList } from "@prisma/schema-engine-wasm/schema_engine_bg";
import pg from "pg";
import { hostAndPort, unreachableFrom } from "./database-errors.ts";
import { MigrationFailed } from "./migration-failed.ts";
import { type MigrationLockHolder, underMigrationLock } from "./migration-lock.ts";
import { describeScriptError, openSchemaEngine, type SchemaEngine, type ScriptObserver } from "./schema-engine.ts";

interface MigrateOptions {
  /** The folder that holds one sub-folder per migration. */
  readonly directory: string;
  /** Marks failed and interrupted migrations as rolled back in the history, and applies them again. */
  readonly retryFailed?: boolean | undefined;
  readonly onProgress?: ((progress: MigrationProgress) => void) | undefined;
  /** The engine's `.wasm` file, for a bundle that carries its own copy. */
  readonly engineFile?: string | undefined;
}

export type MigrationProgress =
  /** Another migrator holds the lock. This one continues when the other ends. */
  | { readonly kind: "waiting"; readonly holder: MigrationLockHolder | undefined }
  /** The database is ahead: it has migrations that the folder lacks. */
  | { readonly kind: "ahead"; readonly migrations: readonly string[] }
  | { readonly kind: "applying"; readonly migration: string; readonly number: number; readonly of: number };

export interface Migrated {
  /** In the order of application; empty if there was nothing to do. */
  readonly applied: readonly string[];
}

/**
 * Applies the pending migrations of a folder with Prisma's engine, which keeps the history in `_prisma_migrations`.
 * Each migration is atomic, and concurrent migrators exclude each other. Works through a pooler. Throws
 * `MigrationFailed` or `DatabaseUnreachable`.
 */
export async function migrate(connection: pg.PoolConfig, options: MigrateOptions): Promise<Migrated> {
  const migrations = await readMigrationsOrFail(options.directory);
  const patient = { connectionTimeoutMillis: 10_000, ...connection };
  const onWaiting = (holder: MigrationLockHolder | undefined) => options.onProgress?.({ kind: "waiting", holder });
  try {
    return await underMigrationLock(patient, onWaiting, () => migrateLocked(patient, migrations, options));
  } catch (error) {
    throw unreachableFrom(error, hostAndPort(connection)) ?? error;
  }
}

async function migrateLocked(
  connection: pg.PoolConfig,
  migrations: readonly MigrationFile[],
  options: MigrateOptions,
): Promise<Migrated> {
  const pool = new pg.Pool({ ...connection, max: 1, idleTimeoutMillis: 0 });
  pool.on("error", () => undefined);
  return await applyPending(pool, migrations, options).finally(() => pool.end());
}

async function readMigrationsOrFail(directory: string): Promise<readonly MigrationFile[]> {
  const migrations = await readMigrations(directory).catch((cause: Error) => {
    throw MigrationFailed.noMigrations(directory, cause.message, cause);
  });
  if (migrations.length === 0) throw MigrationFailed.noMigrations(directory, "the folder is empty");
  return migrations;
}

const NO_FILTERS = { externalTables: [], externalEnums: [] };

async function applyPending(
  pool: pg.Pool,
  migrations: readonly MigrationFile[],
  options: MigrateOptions,
): Promise<Migrated> {
  const scripts = new ScriptProgress(migrations, options.onProgress);
  const engine = await openSchemaEngine(pool, scripts, options.engineFile);
  const migrationsList = toMigrationList(options.directory, migrations);
  try {
    if (options.retryFailed) await markFailedAsRolledBack(engine, migrationsList);
    scripts.pending = await pendingOf(pool, engine, migrationsList, options.onProgress);
    const { appliedMigrationNames } = await engine.applyMigrations({ migrationsList, filters: NO_FILTERS });
    return { applied: appliedMigrationNames };
  } catch (error) {
    throw scripts.failure ?? unreachableFrom(error) ?? MigrationFailed.from(error);
  } finally {
    engine.free();
  }
}

type MigrationsList = ReturnType<typeof toMigrationList>;

async function markFailedAsRolledBack(engine: SchemaEngine, migrationsList: MigrationsList): Promise<void> {
  const found = await engine.diagnoseMigrationHistory({
    migrationsList,
    optInToShadowDatabase: false,
    filters: NO_FILTERS,
  });
  for (const migrationName of found.failedMigrationNames) await engine.markMigrationRolledBack({ migrationName });
}

/** Returns the pending migrations. Throws for failed and edited ones; the engine itself ignores edited migrations. */
async function pendingOf(
  pool: pg.Pool,
  engine: SchemaEngine,
  migrationsList: MigrationsList,
  onProgress: MigrateOptions["onProgress"],
): Promise<readonly string[]> {
  const found = await engine.diagnoseMigrationHistory({
    migrationsList,
    optInToShadowDatabase: false,
    filters: NO_FILTERS,
  });
  const [failed] = found.failedMigrationNames;
  if (failed !== undefined) throw MigrationFailed.before(failed, await historyOf(pool, failed));
  const [edited] = found.editedMigrationNames;
  if (edited !== undefined) throw MigrationFailed.edited(edited, await historyOf(pool, edited));
  const { history } = found;
  if (history && "unpersistedMigrationNames" in history) {
    onProgress?.({ kind: "ahead", migrations: history.unpersistedMigrationNames });
  }
  return history && "unappliedMigrationNames" in history ? history.unappliedMigrationNames : [];
}

async function historyOf(pool: pg.Pool, migration: string): Promise<{ startedAt: Date; logs: string | null }> {
  const found = await pool.query<{ startedAt: Date; logs: string | null }>(
    `SELECT started_at AS "startedAt", logs FROM _prisma_migrations
      WHERE migration_name = $1 AND rolled_back_at IS NULL ORDER BY started_at DESC LIMIT 1`,
    [migration],
  );
  return found.rows[0] ?? { startedAt: new Date(Number.NaN), logs: null };
}

/** Reports the migration that a script belongs to, and keeps the original error, which the engine only quotes. */
class ScriptProgress implements ScriptObserver {
  pending: readonly string[] = [];
  failure: Error | undefined;
  readonly #migrations: readonly MigrationFile[];
  readonly #onProgress: MigrateOptions["onProgress"];

  constructor(migrations: readonly MigrationFile[], onProgress: MigrateOptions["onProgress"]) {
    this.#migrations = migrations;
    this.#onProgress = onProgress;
  }

  sending(script: string): void {
    const migration = this.#nameOf(script);
    if (migration === undefined) return;
    this.#onProgress?.({
      kind: "applying",
      migration,
      number: this.pending.indexOf(migration) + 1,
      of: this.pending.length,
    });
  }

  failed(script: string, error: unknown): void {
    const migration = this.#nameOf(script);
    if (migration === undefined || !(error instanceof pg.DatabaseError) || unreachableFrom(error)) {
      this.failure = error instanceof Error ? error : new Error(String(error));
      return;
    }
    this.failure = MigrationFailed.now(migration, describeScriptError(error, script), error);
  }

  #nameOf(script: string): string | undefined {
    return this.#migrations.find((migration) => migration.script === script && this.pending.includes(migration.name))
      ?.name;
  }
}

interface MigrationFile {
  readonly name: string;
  readonly script: string;
}

/** The migrations of a folder, oldest first: each a sub-folder with a `migration.sql`. Throws file system errors. */
async function readMigrations(directory: string): Promise<readonly MigrationFile[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names
      .sort()
      .map(async (name) => ({ name, script: await readFile(resolve(directory, name, "migration.sql"), "utf8") })),
  );
}

/** Converts migrations to the engine's format. */
function toMigrationList(directory: string, migrations: readonly MigrationFile[]): MigrationList {
  return {
    baseDir: resolve(directory),
    lockfile: { path: "migration_lock.toml", content: 'provider = "postgresql"\n' },
    shadowDbInitScript: "",
    migrationDirectories: migrations.map(({ name, script }) => ({
      path: name,
      migrationFile: { path: "migration.sql", content: { tag: "ok", value: script } },
    })),
  };
}
