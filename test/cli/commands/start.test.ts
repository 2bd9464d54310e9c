import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Command } from "commander";
import type pg from "pg";
import { invokeCommand } from "../../../cli/commands/invoke.ts";
import { startCommand } from "../../../cli/commands/start.ts";
import { openDatabase } from "../../../lib/store/connect.ts";
import { loadDemo } from "../../../prisma/demo/load-demo.ts";
import { type EndedProgram, startProgram } from "../../support/child-process.ts";
import { createDatabase, createEmptyDatabase, type TestDatabase } from "../../support/database.ts";
import { addFollowedLead, addSequence, addWorkspace, everyRow } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { openPool } from "../../support/use-database.ts";

const folder = await temporaryFolder();

const file = (name: string) => join(folder, name);

/** Runs a command. Without a DATABASE_URL it uses a local database in the folder. */
function backstop(words: readonly string[], DATABASE_URL?: string): Promise<EndedProgram> {
  return startProgram("cli/main.ts", words, { environment: { NO_COLOR: "1", ...(DATABASE_URL && { DATABASE_URL }) } })
    .ended;
}

const start = (words: readonly string[] = [], url?: string) => backstop(["start", "--folder", folder, ...words], url);
const invoke = (words: readonly string[], url?: string) => backstop(["invoke", "--folder", folder, ...words], url);

/** Expects one line that says what to do, without a stack, and nothing on standard output. */
function expectProblem({ code, stdout, stderr }: EndedProgram, reason: RegExp, exitCode = 1): void {
  expect(stderr.split("\n").filter((line) => line.startsWith("backstop:"))).toEqual([expect.stringMatching(reason)]);
  expect(stderr).not.toMatch(/^ +at /m);
  expect([code, stdout]).toEqual([exitCode, ""]);
}

const completed = async () => JSON.parse(await readFile(file("report.json"), "utf8")).backstop.completedCount;

describe("without a DATABASE_URL", () => {
  long.it(
    "start creates a database, completes follow-ups of booked leads, keeps the data, and reloads it with --fresh",
    async () => {
      const first = await start(["--leads", "300"]);
      expect([first.code, first.stderr]).toEqual([
        0,
        expect.stringContaining("Loading demo data of 300 leads: touches"),
      ]);
      const completedFirst = await completed();
      expect(completedFirst).toBeGreaterThan(10);
      expect(first.stdout).toContain(`completed ${completedFirst} follow-ups of booked leads`);

      const second = await start();
      expect([second.code, await completed()]).toEqual([0, 0]);
      expect(second.stdout).toContain("completed 0, as expected");
      expect(second.stderr).not.toContain("Loading");

      const fresh = await start(["--fresh", "--leads", "300"]);
      expect([fresh.code, await completed()]).toEqual([0, completedFirst]);
    },
  );
});

describe("start on the database of DATABASE_URL", () => {
  let database: TestDatabase;
  let sql: pg.Pool;

  beforeAll(async () => {
    database = await createEmptyDatabase();
    sql = openPool(database.url);
  });

  afterAll(async () => {
    await sql.end();
    await database.drop();
  });

  long.it("asks before it loads demo data into an empty database, and changes nothing without an answer", async () => {
    const place = /use --yes to load demo data into the empty database \S+ at (127\.0\.0\.1|localhost):\d+/;
    expectProblem(await start(["--leads", "500"], database.url), place);
    expect((await sql.query("select from pg_class where relnamespace = 'public'::regnamespace")).rowCount).toBe(0);
  });

  long.it("rejects the database of another application, and changes nothing", async () => {
    await sql.query("create table invoices (id int)");
    expectProblem(await start(["--yes"], database.url), /contains more than demo data, so nothing was changed/);
    await sql.query("drop table invoices");
    expect((await sql.query("select from pg_class where relnamespace = 'public'::regnamespace")).rowCount).toBe(0);
  });

  long.it(
    "prints the steps, the reasons, a balance that adds up, the rows to correct, and the folder of the e-mails",
    async () => {
      const { code, stdout } = await start(["--leads", "500", "--yes"], database.url);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Run \S+ succeeded/m);
      expect(stdout).toMatch(
        /compared 1 meeting, and found 1 new: healthy\n {2}lead \S+ had booked: sequences stopped: [1-9]/,
      );
      expect(stdout).toMatch(/signed as Calendly signs: 200\n {2}lead \S+ booked a meeting: sequences stopped: [1-9]/);
      expect(stdout).toMatch(/POST to the link in \S+\.eml, as mail programs unsubscribe:\n +sequences stopped: [1-9]/);
      expect(stdout).toMatch(/bounce of \S+\.eml, as SES reports it to the intake:\n +.*be skipped: [1-9]/);
      expect(stdout).toMatch(/resume-ghosted +resumed \d+ of \d+ instances/);
      expect(stdout).toMatch(/│ ready +│ +\d+ │ all rules passed/);
      expect(stdout).toContain("time_zone is not a time zone");
      for (const [, total, parts] of stdout.matchAll(/^ {2}(?:due|claimed) (\d+) = (.+)$/gm)) {
        const sum = [...(parts ?? "").matchAll(/\d+/g)].reduce((before, [part]) => before + Number(part), 0);
        expect(sum).toBe(Number(total));
      }
      const mails = (await readdir(file("outbox"))).filter((name) => name.endsWith(".eml"));
      expect(mails.length).toBeGreaterThan(20);
      expect(stdout).toContain(`contains ${mails.length}, ${mails.length} of them from this run`);
      expect(stdout).toMatch(/notification-digests +sent 3 digests/);
      const texts = await Promise.all(mails.map((name) => readFile(join(file("outbox"), name), "utf8")));
      const digests = texts.filter((text) => text.includes("X-Backstop-Digest"));
      expect(digests).toHaveLength(3);
      for (const digest of digests) expect(digest).toMatch(/^Replies of leads: \d+\n- /m);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the test checks that there are none
      expect(stdout).not.toMatch(/\u001b/);
    },
  );

  long.it("rejects other data, with or without --fresh, and changes nothing", async () => {
    const migrated = await createDatabase();
    const data = openPool(migrated.url);
    const workspaceId = await addWorkspace(data);
    const { id } = await addSequence(data, workspaceId);
    await addFollowedLead(data, workspaceId, id);
    const before = await everyRow(data);
    for (const words of [[], ["--fresh"]]) {
      expectProblem(await start(words, migrated.url), /contains more than demo data, so nothing was changed/);
    }
    expect(await everyRow(data)).toEqual(before);
    await data.end();
    await migrated.drop();
  });

  long.it("loads other demo data with --fresh only", async () => {
    expectProblem(await start(["--leads", "30"], database.url), /add --fresh to start over/);
    expect((await start(["--leads", "30", "--fresh"], database.url)).code).toBe(0);
    expect((await sql.query("select from lead")).rowCount).toBe(30);
  });
});

describe("invoke", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    const loading = openDatabase({ connectionString: database.url });
    await loadDemo(loading, { leads: 100, seed: 1 });
    await loading.close();
  });

  afterAll(() => database.drop());

  long.it("prints a summary with --summary", async () => {
    const { code, stdout } = await invoke(["--summary", ...["events/dry-run.json"].map(fromRoot)], database.url);
    expect(stdout).toMatch(/^The dry run succeeded after .*\n\nSteps\n/);
    expect(stdout).toContain("\n\nBalance\n  due ");
    expect(code).toBe(0);
  });

  long.it("prints the report as JSON and nothing else into a pipe", async () => {
    const { code, stdout } = await invoke(["events/dry-run.json"].map(fromRoot), database.url);
    expect(JSON.parse(stdout)).toMatchObject({ errors: [], statusCode: 200, success: true, dryRun: true });
    expect(code).toBe(0);
  });

  long.it("reads the event from standard input, and uses an empty one by default", async () => {
    const environment = { DATABASE_URL: database.url };
    const program = startProgram("cli/main.ts", ["invoke", "--folder", folder, "-"], { environment });
    program.process.stdin?.end('{"only": ["backstop"]}');
    expect(JSON.parse((await program.ended).stdout)).toMatchObject({ success: true, results: null, backstop: {} });
    expect(JSON.parse((await invoke([], database.url)).stdout)).toMatchObject({ trigger: "manual", results: {} });
  });

  it("also prints the report of an invalid event, and exits with 1", async () => {
    await writeFile(file("refused.json"), JSON.stringify({ trigger: "schedule", surprise: 1 }));
    const { code, stdout } = await invoke([file("refused.json")], database.url);
    expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ statusCode: 400, success: false })]);
  });

  it("reports an invalid event, or a missing database, in one line", async () => {
    await writeFile(file("broken.json"), "{ only: ");
    expectProblem(await invoke([file("broken.json")]), /broken\.json is not JSON/);
    const invokeHere = (...words: string[]) => invokeCommand().parseAsync(words, { from: "user" });
    await expect(invokeHere(file("missing.json"))).rejects.toThrow(
      /missing\.json cannot be read: the file does not exist/,
    );
    await expect(invokeHere("--folder", file("nowhere"))).rejects.toThrow(
      /^there is no local database yet: run `npm start`/,
    );
  });

  long.it("requires EMAIL_TRANSPORT if the database contains more than demo data", async () => {
    const sql = openPool(database.url);
    await addWorkspace(sql);
    await sql.end();
    expectProblem(await invoke([], database.url), /set EMAIL_TRANSPORT/);
    await writeFile(file("sends-nothing.json"), JSON.stringify({ only: ["backstop"] }));
    for (const event of [fromRoot("events/dry-run.json"), file("sends-nothing.json")]) {
      expect(await invoke([event], database.url)).toMatchObject({ code: 0 });
    }
    const environment = { DATABASE_URL: database.url, EMAIL_TRANSPORT: "files" };
    const allowed = await startProgram("cli/main.ts", ["invoke", "--folder", folder], { environment }).ended;
    expect(allowed.code).toBe(0);
  });
});

describe("an environment that is not valid", () => {
  const url = "postgresql://me:hush@127.0.0.1:1/none";

  long.it("is a usage error in one line that names each setting", async () => {
    const environment = { DATABASE_URL: url, EMAIL_TRANSPORT: "smpt", RUN_BATCH_SIZE: "all" };
    const ended = await startProgram("cli/main.ts", ["invoke", "--folder", folder], { environment }).ended;
    expectProblem(ended, /the environment is not valid: EMAIL_TRANSPORT: .*; RUN_BATCH_SIZE: /, 64);
  });

  long.it("is not one without a database, whose error names the host", async () => {
    expectProblem(await backstop(["workspaces", "list"], url), /nothing listens on 127\.0\.0\.1:1/);
  });
});

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

describe("--help", () => {
  it("has examples for start and invoke", () => {
    expect(helpOf(startCommand())).toContain("npm start -- --fresh --leads 100000");
    expect(helpOf(invokeCommand())).toContain("npm run backstop -- invoke events/dry-run.json");
  });

  it("names an invalid option", async () => {
    const output: string[] = [];
    const command = startCommand()
      .exitOverride()
      .configureOutput({ writeErr: (text) => output.push(text) });
    await expect(command.parseAsync(["--leads", "many"], { from: "user" })).rejects.toThrow("integer from 10 to");
    expect(output.join("")).toContain("--leads");
  });

  function helpOf(command: Command): string {
    const output: string[] = [];
    command.configureOutput({ writeOut: (text) => output.push(text) }).outputHelp();
    return output.join("");
  }
});
