import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { addFollowedLead, addSequence, addWorkspace, everyRow } from "./support/factories.ts";
import { long } from "./support/long.ts";
import { openRunner } from "./support/run.ts";
import { startTransactionPooler } from "./support/transaction-pooler.ts";
import { openPool } from "./support/use-database.ts";

let database: TestDatabase;
let sql: pg.Pool;
let role: string;
let url: string;

/** Creates a role per test, because the fixes are ALTER ROLE, and one due step. */
beforeEach(async () => {
  database = await createDatabase();
  sql = openPool(database.url);
  role = `runner_${randomBytes(6).toString("hex")}`;
  const owner = new URL(database.url).username;
  await sql.query(`create role ${role} login password 'secret'; grant ${owner} to ${role}`);
  url = Object.assign(new URL(database.url), { username: role, password: "secret" }).href;
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  await addFollowedLead(sql, workspaceId, id);
});

afterEach(async () => {
  await sql.query(`drop role ${role}`);
  await sql.end();
  await database.drop();
});

async function runAs(connectionString: string) {
  const runner = openRunner(connectionString);
  const report = await runner.run({ trigger: "schedule" });
  await runner.close();
  return { report, sent: runner.channel.sent.length };
}

const isKnown = async (setting: string) =>
  (await sql.query("select from pg_settings where lower(name) = lower($1)", [setting])).rowCount === 1;

describe("a setting that weakens a guarantee", () => {
  long.it.each([
    ["default_transaction_isolation", "'repeatable read'"],
    ["default_transaction_isolation", "serializable"],
    ["default_transaction_read_only", "on"],
    ["synchronous_commit", "off"],
    ["session_replication_role", "replica"],
    ["idle_in_transaction_session_timeout", "'30s'"],
    ["transaction_timeout", "'14min'"],
    ["DateStyle", "'German'"],
    ["array_nulls", "off"],
  ])(
    "%s = %s stops the run before it writes or sends, and the statement that it names lets the next one work",
    async (setting, value) => {
      if (!(await isKnown(setting))) return;
      await sql.query(`alter role ${role} set ${setting} = ${value}`);
      const before = await everyRow(sql);

      const { report, sent } = await runAs(url);

      expect(report).toMatchObject({
        statusCode: 503,
        success: false,
        reason: "unsafe_database_settings",
        unsafeSettings: [expect.stringContaining(`ALTER ROLE ${role} SET ${setting} = `)],
      });
      expect(sent).toBe(0);
      expect(await everyRow(sql)).toEqual(before);

      await sql.query(String(report.unsafeSettings?.[0]).replace(/^.*: (?=ALTER ROLE)/, ""));
      expect(await runAs(url)).toMatchObject({ report: { success: true }, sent: 1 });
    },
  );

  it.each([
    ["idle_in_transaction_session_timeout", "'15min'"],
    ["idle_in_transaction_session_timeout", "0"],
    ["synchronous_commit", "local"],
    ["synchronous_commit", "remote_apply"],
    ["DateStyle", "'ISO, DMY'"],
  ])("%s = %s weakens none", async (setting, value) => {
    await sql.query(`alter role ${role} set ${setting} = ${value}`);
    expect(await runAs(url)).toMatchObject({ report: { success: true }, sent: 1 });
  });

  it("several at once are all named", async () => {
    await sql.query(`alter role ${role} set synchronous_commit = off; alter role ${role} set array_nulls = off`);
    expect((await runAs(url)).report.unsafeSettings).toHaveLength(2);
  });
});

it("a schema other than public is named in one line, even if the tables are in the search path", async () => {
  await sql.query(`create schema crm; alter role ${role} set search_path = crm, public`);
  const { report, sent } = await runAs(url);
  expect(report).toMatchObject({
    reason: "unsafe_database_settings",
    unsafeSettings: [
      `Backstop uses only the schema public, but this connection uses crm: ALTER ROLE ${role} SET search_path = public`,
    ],
  });
  expect(sent).toBe(0);
  await sql.query(`ALTER ROLE ${role} SET search_path = public`);
  expect(await runAs(url)).toMatchObject({ report: { success: true }, sent: 1 });
});

describe("too few connections", () => {
  it.each([2, 3])(
    "a role that may have %s stops the run, and the statement that it names lets the next one work",
    async (limit) => {
      await sql.query(`alter role ${role} connection limit ${limit}`);
      const { report } = await runAs(url);
      expect(report.unsafeSettings).toEqual([expect.stringContaining(`ALTER ROLE ${role} CONNECTION LIMIT -1`)]);
      await sql.query(`alter role ${role} connection limit -1`);
      expect(await runAs(url)).toMatchObject({ report: { success: true }, sent: 1 });
    },
  );

  long.it("a pooler of one connection stops the run; one of four does not", async () => {
    for (const [size, expected] of [
      [1, { statusCode: 503, unsafeSettings: [expect.stringContaining("default_pool_size")] }],
      [4, { statusCode: 200, success: true }],
    ] as const) {
      const pooler = await startTransactionPooler(url, size);
      const { report } = await runAs(pooler.url);
      await pooler.close();
      expect(report).toMatchObject(expected);
    }
  });
});
