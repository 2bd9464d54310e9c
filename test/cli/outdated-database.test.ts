import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect } from "@jest/globals";
import pg from "pg";
import { startProgram } from "../support/child-process.ts";
import { createDatabase, createEmptyDatabase, type TestDatabase } from "../support/database.ts";
import { long } from "../support/long.ts";

const ID = "01000000-0000-7000-8000-000000000001";
const EVENT = fileURLToPath(new URL("../../events/intake/lead.replied.json", import.meta.url));

const COMMANDS: readonly (readonly string[])[] = [
  ["leads", "show", ID],
  ["preview", "Chase", "1", "--lead", ID],
  ["approvals", "list"],
  ["reopen", ID, "Chase", "--reason", "a mistake", "--by", "me"],
  ["sequences", "export", "unused"],
  ["intake", EVENT],
];

let database: TestDatabase;

afterEach(() => database.drop());

const backstop = (words: readonly string[], url = database.url) =>
  startProgram("cli/backstop.js", words, { environment: { DATABASE_URL: url, LOG_LEVEL: "SILENT" } }).ended;

async function query(statement: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  return await client
    .query(statement)
    .then(({ rows }) => rows)
    .finally(() => client.end());
}

describe("on an empty database", () => {
  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  long.it.each(COMMANDS)(
    "%s reports schema_out_of_date, what is missing, and the command that migrates",
    async (...words) => {
      const { code, stdout, stderr } = await backstop(words);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(stderr).toMatch(
        /^backstop: schema_out_of_date: [^\n]* lacks migration \d{14}_tables, [^\n]*: npm run backstop -- migrate\n$/m,
      );
    },
  );

  long.it("invoke reports the same as JSON", async () => {
    const { code, stdout } = await backstop(["invoke"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      statusCode: 503,
      reason: "schema_out_of_date",
      missing: expect.any(Array),
    });
  });
});

describe("on a database that lacks a column", () => {
  beforeEach(async () => {
    database = await createDatabase();
    await query("alter table follow_up_step drop column needs_approval");
  });

  long.it.each(COMMANDS)("%s names the column", async (...words) => {
    const { code, stderr } = await backstop(words);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^backstop: schema_out_of_date: .* lacks column follow_up_step\.needs_approval;/m);
  });

  long.it("invoke names it in its report", async () => {
    const { stdout } = await backstop(["invoke"]);
    expect(JSON.parse(stdout)).toMatchObject({ missing: ["column follow_up_step.needs_approval"] });
  });
});

describe("on a migrated database", () => {
  beforeEach(async () => {
    database = await createDatabase();
  });

  long.it.each(COMMANDS)("%s does not mention the schema", async (...words) => {
    expect((await backstop(words)).stderr).not.toContain("schema_out_of_date");
  });

  long.it("a role without permissions is an error to correct, and no bug", async () => {
    const role = `without_permissions_${process.pid}`;
    await query(`create role ${role} login password 'secret'`);
    const url = Object.assign(new URL(database.url), { username: role, password: "secret" });
    const { code, stderr } = await backstop(["workspaces", "list"], url.href);
    await query(`drop role ${role}`);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^backstop: the database refused: permission denied for table .*42501\)$/m),
    });
  });
});
