import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { SchemaOutOfDate } from "../lib/run/ports.ts";
import { type Database, openDatabase } from "../lib/store/connect.ts";
import { LOCAL_FOLDER, withDatabase } from "./local-database.ts";
import { Problem } from "./problem.ts";
import { Spinner } from "./spinner.ts";

/** Does work on the database that is there already, and makes none. Throws a Problem where there is none, or an old one. */
export async function withExistingDatabase<Result>(
  work: (database: Database) => Promise<Result>,
  givenFolder: string = LOCAL_FOLDER,
): Promise<Result> {
  const folder = resolve(givenFolder);
  if (!process.env["DATABASE_URL"] && !existsSync(join(folder, "postgres"))) {
    throw new Problem("there is no database yet: `npm start` makes one with demo data, or set DATABASE_URL");
  }
  const spinner = new Spinner();
  try {
    const onProgress = (line: string) => spinner.tell(line);
    return await withDatabase((url) => workOn(url, work), { folder, onProgress });
  } finally {
    spinner.stop();
  }
}

async function workOn<Result>(url: string, work: (database: Database) => Promise<Result>): Promise<Result> {
  const database = openDatabase({ connectionString: url });
  try {
    return await work(database);
  } catch (thrown) {
    if (!(thrown instanceof SchemaOutOfDate)) throw thrown;
    throw new Problem(`${thrown.message}: \`npm run backstop -- migrate\` does that`, { cause: thrown });
  } finally {
    await database.close();
  }
}
