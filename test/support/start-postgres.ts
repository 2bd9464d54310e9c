import { chmod, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureCluster } from "../../cli/postgres-cluster.ts";
import { findPostgres } from "../../cli/postgres-programs.ts";
import { type PostgresServer, startServer } from "../../cli/postgres-server.ts";
import { isRunning } from "../../cli/process-identity.ts";
import { prepareTemplate } from "./database.ts";

/** What the end of the run has to clear away; jest runs the two in one process, but not always in one module graph. */
declare global {
  var backstopTestServer: { readonly server: PostgresServer; readonly folder: string } | undefined;
}

const FOLDER_PREFIX = "backstop-test-";

/** One PostgreSQL for the whole test run, in a folder of its own, so that two runs at once do not meet. */
// biome-ignore lint/style/noDefaultExport: jest calls the default export
export default async function startPostgres(): Promise<void> {
  const given = process.env["DATABASE_URL_FOR_TESTS"];
  const url = given ?? (await startEmbedded());
  process.env["BACKSTOP_TEST_SERVER"] = url;
  process.env["BACKSTOP_TEST_TEMPLATE"] = await prepareTemplate(url);
}

async function startEmbedded(): Promise<string> {
  await removeFoldersOfKilledRuns();
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  await chmod(folder, 0o755);
  const options = { onProgress: tellProgress, signal: new AbortController().signal };
  const programs = await findPostgres(tellProgress);
  const cluster = await ensureCluster(join(folder, "postgres"), programs, {
    ...options,
    onProgress: () => undefined,
    durable: false,
  });
  const server = await startServer(cluster, programs, { ...options, settings: FAST_AND_FORGETFUL });
  globalThis.backstopTestServer = { server, folder };
  return server.url;
}

const FAST_AND_FORGETFUL = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", max_connections: "300" };

async function removeFoldersOfKilledRuns(): Promise<void> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(FOLDER_PREFIX));
  const abandoned = names.filter((name) => !isRunning(Number.parseInt(name.slice(FOLDER_PREFIX.length), 10)));
  for (const name of abandoned) await rm(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 5 });
}

function tellProgress(line: string): void {
  process.stderr.write(`${line}\n`);
}
