import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { MigrationList } from "@prisma/schema-engine-wasm/schema_engine_bg";

export interface MigrationFile {
  readonly name: string;
  readonly script: string;
}

/** The migrations of a folder, oldest first: each a sub-folder with a `migration.sql`. Throws file system errors. */
export async function readMigrations(directory: string): Promise<readonly MigrationFile[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names
      .sort()
      .map(async (name) => ({ name, script: await readFile(resolve(directory, name, "migration.sql"), "utf8") })),
  );
}

/** Converts migrations to the engine's format. */
export function toMigrationList(directory: string, migrations: readonly MigrationFile[]): MigrationList {
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
