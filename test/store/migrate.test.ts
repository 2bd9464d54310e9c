import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { type MigrationProgress, migrate } from "../../lib/store/migrate.ts";
import { createDatabase, createEmptyDatabase, MIGRATIONS, type TestDatabase } from "../support/database.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTransactionPooler, type TransactionPooler } from "../support/transaction-pooler.ts";

const TABLES = "CREATE TABLE town (id int PRIMARY KEY);\n";
const FUNCTION = `CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  n := n * 2;
  RETURN n;
END $$;\n`;
const BROKEN = "CREATE TABLE street (id int);\n\nINSERT INTO street VALUES ('high street');\n";

let database: TestDatabase;
let client: pg.Client;
let directory: string;
let told: MigrationProgress[];

beforeEach(async () => {
  database = await createEmptyDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  directory = await temporaryFolder();
  told = [];
});

afterEach(async () => {
  await client.end();
  await database.drop();
});

async function write(name: string, script: string): Promise<void> {
  await mkdir(join(directory, name), { recursive: true });
  await writeFile(join(directory, name, "migration.sql"), script);
}

const run = (options: { retryFailed?: boolean } = {}) =>
  migrate({ connectionString: database.url }, { directory, onProgress: (progress) => told.push(progress), ...options });

const history = async () => {
  const names =
    "migration_name AS name, finished_at IS NOT NULL AS finished, rolled_back_at IS NOT NULL AS rolled_back";
  return (await client.query(`SELECT ${names} FROM _prisma_migrations ORDER BY started_at`)).rows;
};

const tables = async () => {
  const found = await client.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1");
  return found.rows.map(({ tablename }) => tablename);
};

describe("from zero", () => {
  it("applies every migration of this repository, oldest first, and reports each", async () => {
    const names = (await readdir(MIGRATIONS, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    const { applied } = await migrate(
      { connectionString: database.url },
      { directory: MIGRATIONS, onProgress: (progress) => told.push(progress) },
    );
    expect(applied).toEqual(names.sort());
    expect(told).toEqual(
      names.map((migration, index) => ({ kind: "applying", migration, number: index + 1, of: names.length })),
    );
  });

  it("leaves a history with each migration finished and with Prisma's checksum", async () => {
    await write("1_tables", TABLES);
    await run();
    expect(await history()).toEqual([{ name: "1_tables", finished: true, rolled_back: false }]);
    const { rows } = await client.query("SELECT checksum, applied_steps_count, logs FROM _prisma_migrations");
    expect(rows).toEqual([{ checksum: expect.stringMatching(/^[0-9a-f]{64}$/), applied_steps_count: 1, logs: null }]);
  });

  it("sends a script whole, so that the semicolons of a function body do not cut it", async () => {
    await write("1_function", FUNCTION);
    await run();
    expect((await client.query("SELECT twice(21)")).rows).toEqual([{ twice: 42 }]);
  });
});

describe("a second time", () => {
  it("applies nothing and leaves the history as it was", async () => {
    await write("1_tables", TABLES);
    await run();
    const before = (await client.query("SELECT * FROM _prisma_migrations")).rows;
    expect(await run()).toEqual({ applied: [] });
    expect((await client.query("SELECT * FROM _prisma_migrations")).rows).toEqual(before);
  });

  it("applies only new migrations", async () => {
    await write("1_tables", TABLES);
    await run();
    await write("2_function", FUNCTION);
    expect(await run()).toEqual({ applied: ["2_function"] });
  });

  it("has nothing to do in a clone of the template that the tests use", async () => {
    const clone = await createDatabase();
    try {
      expect(await migrate({ connectionString: clone.url }, { directory: MIGRATIONS })).toEqual({ applied: [] });
    } finally {
      await clone.drop();
    }
  });

  it("takes line ends of another system for no change", async () => {
    await write("1_tables", TABLES);
    await run();
    await write("1_tables", TABLES.replaceAll("\n", "\r\n"));
    expect(await run()).toEqual({ applied: [] });
  });

  it("reports that the database is ahead, and still applies missing migrations", async () => {
    await write("1_tables", TABLES);
    await write("2_function", FUNCTION);
    await run();
    await rm(join(directory, "2_function"), { recursive: true });
    await write("3_more", "CREATE TABLE river (id int);");
    expect(await run()).toEqual({ applied: ["3_more"] });
    expect(told).toContainEqual({ kind: "ahead", migrations: ["2_function"] });
  });
});

describe("a migration that fails", () => {
  beforeEach(async () => {
    await write("1_tables", TABLES);
    await write("2_broken", BROKEN);
  });

  it("is named with the database's message and the line, and is rolled back", async () => {
    await expect(run()).rejects.toMatchObject({
      name: "MigrationFailed",
      code: "migration_failed",
      migration: "2_broken",
      message: expect.stringContaining('invalid input syntax for type integer: "high street" (SQLSTATE 22P02, line 3)'),
    });
    expect(await tables()).toEqual(["_prisma_migrations", "town"]);
    expect(await history()).toEqual([
      { name: "1_tables", finished: true, rolled_back: false },
      { name: "2_broken", finished: false, rolled_back: false },
    ]);
  });

  it("blocks the next attempt, which repeats the first error", async () => {
    await run().catch(() => undefined);
    await write("2_broken", "CREATE TABLE street (id int);");
    await expect(run()).rejects.toMatchObject({
      code: "migration_failed_before",
      migration: "2_broken",
      message: expect.stringContaining('invalid input syntax for type integer: "high street" (SQLSTATE 22P02, line 3)'),
    });
    expect(await tables()).toEqual(["_prisma_migrations", "town"]);
  });

  it("is applied after a correction and a requested retry; the history keeps both attempts", async () => {
    await run().catch(() => undefined);
    await write("2_broken", "CREATE TABLE street (id int);");
    expect(await run({ retryFailed: true })).toEqual({ applied: ["2_broken"] });
    expect(await history()).toEqual([
      { name: "1_tables", finished: true, rolled_back: false },
      { name: "2_broken", finished: false, rolled_back: true },
      { name: "2_broken", finished: true, rolled_back: false },
    ]);
  });

  it("is reported as interrupted if its migrator was killed", async () => {
    await rm(join(directory, "2_broken"), { recursive: true });
    await run();
    await client.query("UPDATE _prisma_migrations SET finished_at = NULL, applied_steps_count = 0");
    await expect(run()).rejects.toMatchObject({
      code: "migration_failed_before",
      message: expect.stringContaining("was interrupted"),
    });
  });
});

it("refuses a migration that was edited after it was applied, and applies nothing behind it", async () => {
  await write("1_tables", TABLES);
  await run();
  await write("1_tables", `${TABLES}CREATE TABLE street (id int);`);
  await write("2_function", FUNCTION);
  await expect(run()).rejects.toMatchObject({ code: "migration_edited", migration: "1_tables" });
  expect(await tables()).toEqual(["_prisma_migrations", "town"]);
  expect(await history()).toHaveLength(1);
});

it("lets one of several migrators work; the others find nothing to do", async () => {
  await write("1_tables", TABLES);
  await write("2_function", FUNCTION);
  await client.query("SELECT pg_advisory_lock($1)", [LOCK_OF_PRISMA]);
  const migrators = await Promise.all(Array.from({ length: 4 }, startWaitingMigrator));
  expect(await tables()).toEqual([]);
  await client.query("SELECT pg_advisory_unlock($1)", [LOCK_OF_PRISMA]);
  const results = await Promise.all(migrators.map(({ migrated }) => migrated));
  expect(results.map(({ applied }) => applied).filter(({ length }) => length > 0)).toEqual([
    ["1_tables", "2_function"],
  ]);
  expect(await history()).toHaveLength(2);
});

/** The key that `prisma migrate deploy` locks. */
const LOCK_OF_PRISMA = 72707369;

/** Starts a migrator and returns when it waits for the lock. Wrapped, so that awaiting it does not await its end. */
function startWaitingMigrator(): Promise<{ migrated: ReturnType<typeof migrate>; progress: MigrationProgress }> {
  return new Promise((resolve) => {
    const migrated = migrate(
      { connectionString: database.url },
      { directory, onProgress: (progress) => resolve({ migrated, progress }) },
    );
  });
}

describe("through a transaction pooler", () => {
  let pooler: TransactionPooler;

  beforeEach(async () => {
    await write("1_tables", TABLES);
    await write("2_function", FUNCTION);
    pooler = await startTransactionPooler(database.url, 3);
  });
  afterEach(() => pooler.close());

  const runPooled = () =>
    migrate({ connectionString: pooler.url }, { directory, onProgress: (progress) => told.push(progress) });
  const locks = async () =>
    (
      await client.query(
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      )
    ).rows;

  it("leaves no lock behind, so that the next migrator does not wait", async () => {
    expect(await runPooled()).toEqual({ applied: ["1_tables", "2_function"] });
    expect(await locks()).toEqual([]);
    expect(await run()).toEqual({ applied: [] });
    expect(told).not.toContainEqual(expect.objectContaining({ kind: "waiting" }));
  });

  it("lets one of several migrators work", async () => {
    const results = await Promise.all([runPooled(), run()]);
    expect(results.flatMap(({ applied }) => applied).toSorted()).toEqual(["1_tables", "2_function"]);
    expect(await locks()).toEqual([]);
  });

  it("waits for a session lock that another program left in the pooler, and names the session to end", async () => {
    const careless = new pg.Client({ connectionString: pooler.url });
    await careless.connect();
    await careless.query("SELECT pg_advisory_lock($1)", [LOCK_OF_PRISMA]);
    await careless.end();
    const [left] = await locks();
    const { migrated, progress } = await startWaitingMigrator();
    expect(progress).toMatchObject({ kind: "waiting", holder: { pid: left.pid } });
    await client.query("SELECT pg_terminate_backend($1)", [left.pid]);
    expect(await migrated).toEqual({ applied: ["1_tables", "2_function"] });
  });
});

it("writes nothing if the connection uses a schema other than public, and names the setting", async () => {
  await write("1_tables", TABLES);
  const name = new URL(database.url).pathname.slice(1);
  await client.query(`CREATE SCHEMA crm; ALTER DATABASE ${name} SET search_path = crm, public`);
  await expect(run()).rejects.toMatchObject({
    code: "schema_not_public",
    message: expect.stringMatching(/uses crm: ALTER ROLE \w+ SET search_path = public/),
  });
  expect(await tables()).toEqual([]);
  await client.query(`ALTER DATABASE ${name} SET search_path = public, crm`);
  expect(await run()).toEqual({ applied: ["1_tables"] });
});

it("refuses a database with tables of its own and no history", async () => {
  await write("1_tables", TABLES);
  await client.query("CREATE TABLE somebody_elses (id int)");
  await expect(run()).rejects.toMatchObject({ code: "database_not_empty" });
  expect(await tables()).toEqual(["somebody_elses"]);
});

it("rejects a folder that has no migrations or does not exist", async () => {
  await expect(run()).rejects.toMatchObject({
    code: "migrations_missing",
    message: expect.stringContaining(directory),
  });
  const missing = { directory: join(directory, "none") };
  await expect(migrate({ connectionString: database.url }, missing)).rejects.toMatchObject({
    code: "migrations_missing",
  });
});

it("says that a database cannot be reached, and why, and never the password", async () => {
  await write("1_tables", TABLES);
  const stranger = new URL(database.url);
  stranger.username = "stranger";
  stranger.password = "hush";
  const attempts: readonly (readonly [RegExp, string])[] = [
    [/nothing listens on 127\.0\.0\.1:1$/, "postgresql://me:hush@127.0.0.1:1/x"],
    [/the host of host\.invalid:5432 is not known/, "postgresql://me:hush@host.invalid/x"],
    [/database "none" does not exist/, database.url.replace(/\/[^/]*$/, "/none")],
    [/password authentication failed|role "stranger" does not exist/, stranger.href],
  ];
  for (const [reason, connectionString] of attempts) {
    const error = await migrate({ connectionString }, { directory }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "database_unreachable", message: expect.stringMatching(reason) });
    expect(error.message).not.toContain("hush");
  }
});

it("reports a connection lost during a migration", async () => {
  await write("1_cut", "SELECT pg_terminate_backend(pg_backend_pid());");
  await expect(run()).rejects.toMatchObject({ code: "database_unreachable", message: expect.stringContaining("lost") });
});
