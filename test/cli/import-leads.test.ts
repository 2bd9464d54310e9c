import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { LONGEST_ROW } from "../../cli/csv/rows.ts";
import { importLeadFile } from "../../cli/import-leads.ts";
import { openLeadFile } from "../../cli/lead-file.ts";
import { type Operator, operatorOn } from "../../cli/operator.ts";
import { createVerdictFile } from "../../cli/verdict-file.ts";
import { startProgram } from "../support/child-process.ts";
import { addLead, addSequence, addWorkspace, everyRow, rowsOf, type Sequence } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { useDatabase } from "../support/use-database.ts";

const { database, sql } = await useDatabase();
let workspaceId: string;
let chase: Sequence;
let path: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { name: "Chase" });
  path = join(await temporaryFolder(), "leads.csv");
});

const ORDER = { by: "Hana", reason: "a test", once: false, dryRun: false };

/** Imports a file of these lines. Returns the counts, and the rows of the verdict file. */
async function importing(
  lines: readonly string[] | string | Buffer,
  sequence: Sequence = chase,
  { country = "DE", order = ORDER, operator = operatorOn(sql) } = {},
) {
  await writeFile(path, Array.isArray(lines) ? lines.join("\n") : (lines as string | Buffer));
  const file = await openLeadFile(path, { map: [], ignoreOtherColumns: false });
  const verdicts = await createVerdictFile(`${path}.verdicts.csv`, file);
  const { signal } = new AbortController();
  const task = { ...order, workspaceId, country, sequence: sequence.id, onVerdicts: verdicts.write, signal };
  const { counts } = await importLeadFile(operator, file, task).finally(verdicts.close);
  const [, ...rows] = (await readFile(`${path}.verdicts.csv`, "utf8")).trimEnd().split("\n");
  return { counts, rows };
}

const leads = async () =>
  (await sql.query("select * from lead where workspace_id = $1 order by email, external_id", [workspaceId])).rows;
const enrolled = async (): Promise<number> =>
  (await sql.query("select from follow_up_instance where workspace_id = $1", [workspaceId])).rowCount ?? 0;

describe("an import", () => {
  it("creates the leads of the file and enrols them", async () => {
    const { counts, rows } = await importing([
      "\u{feff}External ID,E-mail,First Name,last_name,Company,phone,LinkedIn,Time-Zone\r",
      'a1,ada@example.test, Ada ,Byron,"Analytical, ""Engines""",+4930123456,https://linkedin.test/ada,Europe/Berlin\r',
      "\r",
      "a2,,,,,,,\r",
    ]);
    expect(counts).toEqual({ enrolled: 2 });
    expect(rows.map((row) => row.split(",").slice(-3))).toEqual([
      ["2", "enrolled", ""],
      ["4", "enrolled", ""],
    ]);
    expect(await leads()).toEqual([
      expect.objectContaining({
        external_id: "a1",
        email: "ada@example.test",
        first_name: "Ada",
        last_name: "Byron",
        company: 'Analytical, "Engines"',
        phone: "+4930123456",
        linkedin_url: "https://linkedin.test/ada",
        time_zone: "Europe/Berlin",
      }),
      expect.objectContaining({ external_id: "a2", email: null, first_name: null }),
    ]);
    expect(await enrolled()).toBe(2);
  });

  it("gives each row its own verdict: an invalid row affects no other", async () => {
    await addLead(sql, workspaceId, { email: "out@example.test", opted_out_at: new Date() });
    await addLead(sql, workspaceId, { email: "booked@example.test", status: "meeting-booked" });
    const { rows } = await importing([
      "email,first_name",
      "a@example.test,Ada",
      '"b@example.test,"Bob"',
      "c@example.test",
      "d@example.test,Dora,x",
      "not-mail,Eve",
      ",Eve",
      "out@example.test,",
      "booked@example.test,",
      "A@example.test,Ada again",
      `f@example.test,${"x".repeat(LONGEST_ROW)}`,
      "g@example.test,\u0007",
      '"h@example.test,Hal',
      "i@example.test,Ida",
    ]);
    expect(rows.map((row) => row.replace(/^[^,]*,[^,]*,/, ""))).toEqual([
      "2,enrolled,",
      expect.stringMatching(/^3,invalid,"a quote is not closed/),
      "4,invalid,has 1 cells; the heading has 2",
      "5,invalid,has 3 cells; the heading has 2",
      "6,invalid,email: must be exactly one e-mail address",
      "7,invalid,must have an externalId or an email",
      "8,opted_out,",
      "9,booked,",
      "10,invalid,repeats the lead on line 2",
      "11,invalid,is longer than 262144 characters",
      "12,enrolled,first_name is dropped: must not contain control characters",
      expect.stringMatching(/^13,invalid,"a quote is not closed/),
      "14,enrolled,",
    ]);
    expect(await enrolled()).toBe(3);
  });

  it("enrols leads with an invalid time zone in the workspace's zone, with a warning", async () => {
    const tomorrow = await addSequence(sql, workspaceId, { steps: [{ delay_minutes: 1440 }] });
    const zones = ["America/New_York", "PST", "BST", "EST", "(GMT-05:00) Eastern Standard Time", "Eastern Time", ""];
    const rows = Array.from({ length: 1_000 }, (_, place) => `p${place}@example.test,${zones[place % zones.length]}`);
    const { counts, rows: verdicts } = await importing(["email,time_zone", ...rows], tomorrow);
    expect(counts).toEqual({ enrolled: 1_000 });
    const dropped = "time_zone is dropped: is not a time zone; expected a name such as Europe/Berlin";
    expect(verdicts.filter((row) => row.endsWith(`enrolled,${dropped}`))).toHaveLength(572);
    expect(await enrolled()).toBe(1_000);
  });

  long.it("can be repeated: no lead is enrolled twice", async () => {
    const lines = ["email", ...Array.from({ length: 1_200 }, (_, number) => `lead${number}@example.test`)];
    expect((await importing(lines)).counts).toEqual({ enrolled: 1_200 });
    const { rows: before } = await sql.query(
      "select id, generation, next_step_due from follow_up_instance order by id",
    );
    expect((await importing(lines)).counts).toEqual({ already_enrolled: 1_200 });
    const { rows: after } = await sql.query("select id, generation, next_step_due from follow_up_instance order by id");
    expect(after).toEqual(before);
  });

  describe("of which the answer of the second order is lost", () => {
    const lines = ["email", ...Array.from({ length: 2_100 }, (_, number) => `lead${number}@example.test`)];
    const orders = async () =>
      (await sql.query("select from placed_order where workspace_id = $1", [workspaceId])).rowCount;

    async function interrupted(order: typeof ORDER) {
      let given = 0;
      const operator: Operator = {
        ...operatorOn(sql),
        order: async (...placing) => {
          const answer = await operatorOn(sql).order(...placing);
          if (++given === 2) throw new Error("killed");
          return answer;
        },
      };
      await expect(importing(lines, chase, { order, operator })).rejects.toThrow("killed");
      expect(await enrolled()).toBe(2_000);
      return await importing(lines, chase, { order });
    }

    long.it("continues if it is repeated: each order is carried out once, with its first verdicts", async () => {
      const { counts, rows } = await interrupted({ ...ORDER, once: true });
      expect(counts).toEqual({ enrolled: 2_100 });
      expect(rows).toHaveLength(2_100);
      expect([await orders(), await enrolled()]).toEqual([3, 2_100]);
    });

    long.it("gives new orders with another reason, and otherwise; no lead is enrolled twice", async () => {
      await interrupted({ ...ORDER, once: true });
      const again = await importing(lines, chase, { order: { ...ORDER, once: true, reason: "once more" } });
      expect(again.counts).toEqual({ already_enrolled: 2_100 });
      expect((await importing(lines)).counts).toEqual({ already_enrolled: 2_100 });
      expect([await orders(), await enrolled()]).toEqual([9, 2_100]);
    });
  });

  long.it("splits rows with much data into orders that a function accepts", async () => {
    const sizes: number[] = [];
    const operator: Operator = {
      ...operatorOn(sql),
      order: async (given, input, placing) => {
        sizes.push(Buffer.byteLength(JSON.stringify(input)));
        return await operatorOn(sql).order(given, input, placing);
      },
    };
    const heading = ["email", ...Array.from({ length: 40 }, (_, field) => `field ${field}`)].join();
    const row = (number: number) => [`lead${number}@example.test`, ...Array(40).fill("€".repeat(900))].join();
    const { counts } = await importing([heading, ...Array.from({ length: 90 }, (_, number) => row(number))], chase, {
      operator,
    });
    expect(counts).toEqual({ enrolled: 90 });
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(6 * 1024 ** 2);
  });

  it("continues after an interrupted import", async () => {
    await importing(["email", "a@example.test"]);
    expect((await importing(["email", "a@example.test", "b@example.test"])).counts).toEqual({
      already_enrolled: 1,
      enrolled: 1,
    });
  });

  it("escapes formulas, and reads its own file without the escapes", async () => {
    const cells = ["=1+1", "+4930123456", "-2", "@x"];
    await importing(["email,first_name,phone,last_name,company", `a@example.test,${cells.join(",")}`]);
    const written = await readFile(`${path}.verdicts.csv`, "utf8");
    expect(written).toContain("a@example.test,'=1+1,'+4930123456,'-2,'@x,2,enrolled,");
    expect((await importing(written)).counts).toEqual({ already_enrolled: 1 });
    expect(await leads()).toEqual([
      expect.objectContaining({ first_name: "=1+1", phone: "+4930123456", last_name: "-2", company: "@x" }),
    ]);
  });

  it.each(["\r", "\r\n", "\n"])("accepts %j as the end of a line, and loses no row", async (end) => {
    const lines = ["email,first_name", "a@example.test,Ada", "", "not-mail,Eve", "b@example.test,Bob"];
    const { counts, rows } = await importing(lines.join(end));
    expect(rows.map((row) => row.split(",").slice(2, 4))).toEqual([
      ["2", "enrolled"],
      ["4", "invalid"],
      ["5", "enrolled"],
    ]);
    expect(counts).toEqual({ enrolled: 2, invalid: 1 });
  });

  it("loses no row if line ends are mixed", async () => {
    const { counts } = await importing("email\na@example.test\rb@example.test\r\nc@example.test\r\r\nd@example.test\r");
    expect(counts).toEqual({ enrolled: 4 });
  });

  long.it("reads a line end that is split between chunks, also in a row that is too long", async () => {
    const rows = Array.from({ length: 20_000 }, (_, number) => `lead${number}@example.test`);
    const part = 64 * 1024;
    const tooLong = "x".repeat(LONGEST_ROW + 2 * part - "email\r".length - 1);
    await writeFile(path, `email\r${tooLong}\r${rows.join("\r\n")}`);
    const found: unknown[] = [];
    for await (const { line, read } of (await openLeadFile(path)).rows(null)) found.push([line, read]);
    expect(found).toEqual([
      [2, { fault: "is longer than 262144 characters" }],
      ...rows.map((email, index) => [index + 3, { lead: { email }, warnings: [] }]),
    ]);
  });

  it("changes no other workspace, and cannot use its sequences", async () => {
    const there = await addWorkspace(sql);
    const foreign = await addSequence(sql, there, { name: "Foreign" });
    await addLead(sql, there, { email: "a@example.test" });
    const before = await rowsOf(sql, there);
    await expect(importing(["email", "a@example.test"], foreign)).rejects.toThrow(/there is no sequence/);
    expect((await importing(["email", "a@example.test"])).counts).toEqual({ enrolled: 1 });
    expect(await rowsOf(sql, there)).toEqual(before);
  });

  long.it.each([
    ["email,色,email", /"色" is no name of a custom field; "email" occurs twice/],
    ["first_name", /email or external_id is needed/],
    ["email;色", /"色" is no name of a custom field/],
    ["", /email or external_id is needed/],
  ])("rejects the heading %j and changes nothing", async (heading, fault) => {
    const before = await everyRow(sql);
    await expect(importing([heading, "a@example.test"])).rejects.toThrow(fault);
    expect(await everyRow(sql)).toEqual(before);
  });
});

describe("leads import", () => {
  const run = (...words: string[]) =>
    startProgram("cli/main.ts", ["leads", "import", ...words, "--workspace", workspaceId], {
      environment: { NO_COLOR: "1", DATABASE_URL: database.url },
    }).ended;

  long.it("prints the verdicts, and the lines of invalid rows without their contents", async () => {
    await writeFile(path, "email,first_name\na@example.test,Ada\nsecret,Eve\n");
    const { code, stdout, stderr } = await run(path, "--sequence", "Chase");
    expect(stdout).toMatch(/^2 rows\n {2}enrolled 1\n {2}invalid 1\nVerdicts: .*leads\.verdicts\.csv\n$/);
    expect(stderr).toMatch(/line 3: email: must be exactly one e-mail address/);
    expect(stdout + stderr).not.toMatch(/\b(secret|Eve|Ada)\b/);
    expect(code).toBe(1);
  });

  long.it("prints the verdicts of a dry run, and writes neither rows nor a file", async () => {
    await writeFile(path, "E-Post;colour;phone\na@example.test;red;+49 30 123456\nsecret;;\nb@example.test;;1e9\n");
    const before = await everyRow(sql);
    const words = [path, "--sequence", "Chase", "--map", "E-Post=email", "--ignore-other-columns", "--dry-run"];
    const { code, stdout, stderr } = await run(...words);
    expect(stdout).toMatch(
      /^line 2: enrolled\nline 3: invalid, email: must be exactly one e-mail address\nline 4: enrolled, phone is dropped: .*\n3 rows\n/,
    );
    expect(stdout).toMatch(/\n {2}enrolled 2\n {2}invalid 1\n1 rows with a warning\nDry run: nothing was written\n$/);
    expect(stderr).toMatch(/leads\.csv is utf-8 with semicolons\nNot imported: colour\n/);
    expect(code).toBe(1);
    expect(await everyRow(sql)).toEqual(before);
    expect(await readdir(dirname(path))).toEqual(["leads.csv"]);
  });

  long.it("reports a missing file and a missing sequence", async () => {
    expect(await run("/nowhere.csv", "--sequence", "Chase")).toMatchObject({
      code: 1,
      stderr: "backstop: /nowhere.csv cannot be read: the file does not exist\n",
    });
    await writeFile(path, "email\na@example.test\n");
    expect(await run(path, "--sequence", "Chasing")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there is no sequence "Chasing" in Harbour Homes; there are Chase/),
    });
  });
});
