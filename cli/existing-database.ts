import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { SchemaOutOfDate } from "../lib/run/ports.ts";
import { type Database, openDatabase } from "../lib/store/connect.ts";
import { translated } from "../lib/store/database-errors.ts";
import { schemaGate } from "../lib/store/schema-gate.ts";
import { LOCAL_FOLDER, withDatabase } from "./postgres/local-database.ts";
import { Problem } from "./problem.ts";
import { Spinner } from "./terminal.ts";

/**
 * Runs `work` on an existing database. Throws a Problem if there is none, and SchemaOutOfDate or UnsafeDatabaseSettings
 * if it is not usable.
 */
export async function withExistingDatabase<Result>(
  givenFolder: string = LOCAL_FOLDER,
  work: (database: Database, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const folder = resolve(givenFolder);
  requireExistingDatabase(folder);
  const spinner = new Spinner();
  return await withDatabase(
    async (url, signal) => {
      spinner.stop();
      const database = openDatabase({ connectionString: url });
      try {
        await requireCurrentSchema(database);
        return await work(database, signal);
      } catch (thrown) {
        throw translated(thrown);
      } finally {
        await database.close();
      }
    },
    { folder, onProgress: (line) => spinner.show(line) },
  ).finally(() => spinner.stop());
}

/** Throws a Problem if there is neither a DATABASE_URL nor a local database in the folder. */
export function requireExistingDatabase(folder: string): void {
  if (process.env["DATABASE_URL"] || existsSync(join(folder, "postgres"))) return;
  throw new Problem(
    "there is no local database yet: run `npm start` to create one with demo data, or set DATABASE_URL",
  );
}

/** Throws SchemaOutOfDate or UnsafeDatabaseSettings before the work fails with an SQL error or finds no rows. */
export async function requireCurrentSchema(database: Database): Promise<void> {
  const missing = await schemaGate(database)();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
}
