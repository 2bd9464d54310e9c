import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { SchemaOutOfDate } from "../lib/run/ports.ts";
import { type Database, openDatabase } from "../lib/store/connect.ts";
import { translated } from "../lib/store/faults.ts";
import { findWorkspaces, type NamedWorkspace } from "../lib/store/workspaces.ts";
import { LOCAL_FOLDER, withDatabase } from "./local-database.ts";
import { Problem } from "./problem.ts";
import { Spinner } from "./spinner.ts";

/** Does work on a database that somebody has made before. Throws a Problem where there is none, or an outdated one. */
export async function withExistingDatabase<Result>(
  givenFolder: string = LOCAL_FOLDER,
  work: (database: Database, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const folder = resolve(givenFolder);
  if (!process.env["DATABASE_URL"] && !existsSync(join(folder, "postgres"))) {
    throw new Problem("there is no database yet: `npm start` makes one with demo data, or set DATABASE_URL");
  }
  const spinner = new Spinner();
  return await withDatabase(
    async (url, signal) => {
      spinner.stop();
      const database = openDatabase({ connectionString: url });
      try {
        return await work(database, signal);
      } catch (thrown) {
        throw toProblem(translated(thrown));
      } finally {
        await database.close();
      }
    },
    { folder, onProgress: (line) => spinner.tell(line) },
  ).finally(() => spinner.stop());
}

const toProblem = (thrown: unknown): unknown =>
  thrown instanceof SchemaOutOfDate
    ? new Problem(`${thrown.message}: \`npm run backstop -- migrate\` does that`, { cause: thrown })
    : thrown;

/** The one workspace that is meant. Throws a Problem that names those there are. */
export async function chooseWorkspace({ prisma }: Database, idOrName: string | undefined): Promise<NamedWorkspace> {
  const [found, ...others] = await findWorkspaces(prisma, idOrName);
  if (found && others.length === 0) return found;
  const candidates = found ? [found, ...others] : await findWorkspaces(prisma);
  const known = candidates.map(({ id, name }) => `${name} (${id})`).join(", ") || "none";
  if (!found) throw new Problem(`there is no workspace ${idOrName ?? ""}; known are ${known}`);
  throw new Problem(`say which workspace with --workspace <id or name>: ${known}`);
}
