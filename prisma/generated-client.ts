// Imports nothing from node_modules, because `backstop` also runs it before `npm ci`. As a program it prints the fault.

import { readFile } from "node:fs/promises";

const ROOT = new URL("../", import.meta.url);
const SCHEMA = "prisma/schema.prisma";
/** The generated file that embeds the schema. */
const CLIENT = "lib/store/generated/internal/class.ts";

/**
 * Returns what is wrong with the generated Prisma client, with the command that fixes it; undefined if it matches
 * `schema.prisma`.
 * @param root the folder of the checkout, ending in a slash
 */
export async function faultOfGeneratedClient(root: URL = ROOT): Promise<string | undefined> {
  const client = await readFile(new URL(CLIENT, root), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (client === undefined) return `the Prisma client is missing in lib/store/generated: run ${COMMAND}`;
  const schema = await readFile(new URL(SCHEMA, root), "utf8");
  if (withoutAlignment(schemaInside(client)) === withoutAlignment(schema)) return undefined;
  return `the Prisma client in lib/store/generated does not match ${SCHEMA}: run ${COMMAND}`;
}

const COMMAND = "`npx prisma generate`";

function schemaInside(client: string): string {
  const literal = client.match(/"inlineSchema": ("(?:[^"\\]|\\.)*")/)?.[1];
  return literal === undefined ? "" : String(JSON.parse(literal));
}

/** Prisma aligns the columns of the embedded schema, so ignore whitespace. */
const withoutAlignment = (schema: string): string => schema.replaceAll(/\s+/g, " ").trim();

// No top-level await: Jest's global set-up loads this file with `require`.
if (import.meta.main) void check();

async function check(): Promise<void> {
  const fault = await faultOfGeneratedClient();
  if (fault === undefined) return;
  process.stderr.write(`${fault}\n`);
  process.exitCode = 1;
}
