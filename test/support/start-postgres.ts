import { startTemporaryPostgres, type TemporaryPostgres } from "../../cli/postgres/temporary.ts";
import { faultOfGeneratedClient } from "../../prisma/generated-client.ts";
import { prepareTemplate } from "./database.ts";
import { makeRunFolder, parentOfRunFolders } from "./run-folder.ts";

/** Shares the server with `stop-postgres.ts`: jest runs both in one process, but not always in one module graph. */
declare global {
  var backstopTestServer: TemporaryPostgres | undefined;
}

/**
 * Starts one PostgreSQL for the whole test run, with a migrated template database. Temporary files of the tests and of
 * the programs that they start go to one folder, which the end of the run removes.
 */
// biome-ignore lint/style/noDefaultExport: jest calls the default export
export default async function startPostgres(): Promise<void> {
  const fault = await faultOfGeneratedClient();
  if (fault !== undefined) throw new Error(fault);
  const parent = await parentOfRunFolders();
  process.env["TMPDIR"] = parent;
  const url = process.env["DATABASE_URL_FOR_TESTS"] ?? (await startOwn());
  process.env["TMPDIR"] = await makeRunFolder(parent);
  process.env["BACKSTOP_TEST_SERVER"] = url;
  process.env["BACKSTOP_TEST_TEMPLATE"] = await prepareTemplate(url);
}

async function startOwn(): Promise<string> {
  const onProgress = (line: string) => process.stderr.write(`${line}\n`);
  globalThis.backstopTestServer = await startTemporaryPostgres({ onProgress });
  return globalThis.backstopTestServer.url;
}
