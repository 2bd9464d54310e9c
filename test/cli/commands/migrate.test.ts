import { afterEach, beforeEach, expect } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import { createEmptyDatabase, type TestDatabase } from "../../support/database.ts";
import { long } from "../../support/long.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createEmptyDatabase();
});

afterEach(() => database.drop());

const backstop = (words: readonly string[], url = database.url) =>
  startProgram("cli/backstop.js", words, { environment: { DATABASE_URL: url } }).ended;

long.it("migrates DATABASE_URL, prints what it applied, and is a no-op the second time", async () => {
  const first = await backstop(["migrate"]);
  expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^(applied \d{14}_\w+\n)+$/) });
  expect(first.stderr).toMatch(/Applying migration 1 of \d+/);
  expect(await backstop(["migrate"])).toMatchObject({
    code: 0,
    stdout: "no pending migrations: the database is up to date\n",
  });
});

long.it("reports a failed login in one line with code 1, without the password", async () => {
  const ended = await backstop(["migrate"], database.url.replace(/\/\/[^@]*@/, "//stranger:hush@"));
  expect(ended).toMatchObject({ code: 1, stdout: "" });
  expect(ended.stderr).toMatch(
    /^backstop: .*(password authentication failed|role "stranger" does not exist).*DATABASE_URL/m,
  );
  expect(ended.stderr).not.toMatch(/hush|^ +at /m);
});

long.it("has a help text", async () => {
  const { code, stdout } = await backstop(["--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^Usage: backstop .*Backstop sends leads.*migrate .*apply pending migrations.*Exit codes:.*Examples:/s,
  );
});
