import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { importLeads } from "../../cli/import-leads.ts";
import { openLeadFile } from "../../cli/lead-file.ts";
import { onPool } from "../../lib/store/sql.ts";
import { startProgram } from "../support/child-process.ts";
import { addLead, addSequence, addWorkspace, everyRow, rowsOf, type Sequence } from "../support/factories.ts";
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

/** Imports a file of these lines. Returns the counts, and the verdicts with their reasons by line. */
async function importing(lines: readonly string[] | string | Buffer, sequence: Sequence = chase) {
  await writeFile(path, Array.isArray(lines) ? lines.join("\n") : (lines as string | Buffer));
  const verdictPath = `${path}.verdicts.csv`;
  const { signal } = new AbortController();
  const task = { workspaceId, sequence: { id: sequence.id }, verdictPath, onProgress: () => undefined, signal };
  const { counts } = await importLeads(onPool(sql), await openLeadFile(path), task);
  const [, ...rows] = (await readFile(verdictPath, "utf8")).trimEnd().split("\n");
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
      `f@example.test,${"x".repeat(64 * 1024)}`,
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
      "11,invalid,is longer than 65536 characters",
      "12,invalid,firstName: must not contain control characters",
      expect.stringMatching(/^13,invalid,"a quote is not closed/),
      "14,enrolled,",
    ]);
    expect(await enrolled()).toBe(2);
  });

  it("rejects rows with an invalid time zone, and enrols the others", async () => {
    const tomorrow = await addSequence(sql, workspaceId, { steps: [{ delay_minutes: 1440 }] });
    const zones = ["America/New_York", "PST", "BST", "EST", "(GMT-05:00) Eastern Standard Time", "Eastern Time", ""];
    const rows = Array.from({ length: 1_000 }, (_, place) => `p${place}@example.test,${zones[place % zones.length]}`);
    const { counts, rows: verdicts } = await importing(["email,time_zone", ...rows], tomorrow);
    expect(counts).toEqual({ enrolled: 428, invalid: 572 });
    expect(verdicts[1]).toContain("invalid,timeZone: is not a time zone; expected a name such as Europe/Berlin");
    expect(await enrolled()).toBe(428);
  });

  it("can be repeated: no lead is enrolled twice", async () => {
    const lines = ["email", ...Array.from({ length: 1_200 }, (_, number) => `lead${number}@example.test`)];
    expect((await importing(lines)).counts).toEqual({ enrolled: 1_200 });
    const { rows: before } = await sql.query(
      "select id, generation, next_step_due from follow_up_instance order by id",
    );
    expect((await importing(lines)).counts).toEqual({ already_enrolled: 1_200 });
    const { rows: after } = await sql.query("select id, generation, next_step_due from follow_up_instance order by id");
    expect(after).toEqual(before);
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

  it("reads a line end that is split between chunks, also in a row that is too long", async () => {
    const rows = Array.from({ length: 20_000 }, (_, number) => `lead${number}@example.test`);
    const part = 64 * 1024;
    const tooLong = "x".repeat(2 * part - "email\r".length - 1);
    await writeFile(path, `email\r${tooLong}\r${rows.join("\r\n")}`);
    const found: unknown[] = [];
    for await (const { line, read } of (await openLeadFile(path)).rows) found.push([line, read]);
    expect(found).toEqual([
      [2, { fault: "is longer than 65536 characters" }],
      ...rows.map((email, index) => [index + 3, { lead: { email } }]),
    ]);
  });

  it("rejects only the row that is not UTF-8", async () => {
    const text = Buffer.from("email,first_name\na@example.test,Ren\u00e9\nb@example.test,Bob\n", "latin1");
    const { rows } = await importing(text);
    expect(rows.map((row) => row.split(",").slice(-2))).toEqual([
      ["invalid", "is not UTF-8 text"],
      ["enrolled", ""],
    ]);
  });

  it("changes no other workspace, and cannot use its sequences", async () => {
    const there = await addWorkspace(sql);
    const foreign = await addSequence(sql, there, { name: "Foreign" });
    await addLead(sql, there, { email: "a@example.test" });
    const before = await rowsOf(sql, there);
    await expect(importing(["email", "a@example.test"], foreign)).rejects.toThrow(/no such sequence/);
    expect((await importing(["email", "a@example.test"])).counts).toEqual({ enrolled: 1 });
    expect(await rowsOf(sql, there)).toEqual(before);
  });

  it.each([
    ["email,colour,email", /no column "colour"; email occurs twice/],
    ["first_name", /email or external_id is needed/],
    ["email;first_name", /no column "email;first_name"/],
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

  it("prints the verdicts, and the lines of invalid rows without their contents", async () => {
    await writeFile(path, "email,first_name\na@example.test,Ada\nsecret,Eve\n");
    const { code, stdout, stderr } = await run(path, "--sequence", "Chase");
    expect(stdout).toMatch(/^2 rows\n {2}enrolled 1\n {2}invalid 1\nVerdicts: .*leads\.verdicts\.csv\n$/);
    expect(stderr).toMatch(/line 3: email: must be exactly one e-mail address/);
    expect(stdout + stderr).not.toMatch(/\b(secret|Eve|Ada)\b/);
    expect(code).toBe(1);
  });

  it("reports a missing file and a missing sequence", async () => {
    expect(await run("/nowhere.csv", "--sequence", "Chase")).toMatchObject({
      code: 1,
      stderr: "backstop: /nowhere.csv cannot be read: the file does not exist\n",
    });
    await writeFile(path, "email\na@example.test\n");
    expect(await run(path, "--sequence", "Chasing")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/sequence: the workspace has no such sequence/),
    });
  });
});
