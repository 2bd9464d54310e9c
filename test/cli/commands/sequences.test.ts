import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import { addFollowedLead, addSequence, addWorkspace, everyRow } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { useDatabase } from "../../support/use-database.ts";

const EXAMPLES = fileURLToPath(new URL("../../../sequences", import.meta.url));

const { database, sql } = await useDatabase();
let workspaceId: string;
let folder: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  folder = await temporaryFolder();
});

const run = (...words: string[]) =>
  startProgram("cli/main.ts", ["sequences", ...words], {
    environment: { NO_COLOR: "1", DATABASE_URL: database.url },
  }).ended;
const yes = ["--yes", "--by", "Hana", "--reason", "new texts"];
const here = () => ["--workspace", workspaceId];
const filesOf = async (of: string) => (await readdir(of)).map((name) => join(of, name));

describe("sequences apply", () => {
  long.it(
    "shows the changes and asks; applies them with --yes; applying again, or applying an export, is a no-op",
    async () => {
      const examples = await filesOf(EXAMPLES);
      const before = await everyRow(sql);
      expect(await run("apply", ...examples, ...here(), "--dry-run")).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/Chase after no reply: new, with 5 steps\n/),
      });
      expect(await run("apply", ...examples, ...here(), ...yes.slice(1))).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/no terminal to confirm at: use --yes/),
      });
      expect(await run("apply", ...examples, ...here(), "--yes")).toMatchObject({
        code: 64,
        stderr: expect.stringMatching(/Add --by <name> and --reason <text>/),
      });
      expect(await everyRow(sql)).toEqual(before);

      expect(await run("apply", ...examples, ...here(), ...yes)).toMatchObject({ code: 0 });
      const applied = await everyRow(sql);
      const unchanged = { code: 0, stdout: expect.stringMatching(/^(.*: no change\n){3,}$/) };
      expect(await run("apply", ...examples, ...here(), ...yes)).toMatchObject(unchanged);
      expect(await run("export", folder, ...here())).toMatchObject({ code: 0 });
      expect(await run("apply", ...(await filesOf(folder)), ...here(), ...yes)).toMatchObject(unchanged);
      expect(await everyRow(sql)).toEqual(applied);
      expect(await run("export", folder, ...here())).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/already exist/),
      });
    },
  );

  long.it("rejects a custom field that no lead has with all its places, unless --new-field names it", async () => {
    await addFollowedLead(sql, workspaceId, (await addSequence(sql, workspaceId)).id, {
      lead: { fields: '{"plan": "Pro"}' },
    });
    const file = join(folder, "fields.yaml");
    const step = "{ key: a, delay: 0 minutes, channel: sms, body: '{{ lead.fields.plan }} {{ lead.fields.plans }}' }";
    await writeFile(file, `name: Fields\ntriggerOn: manual\nsteps:\n  - ${step}\n`);
    const before = await everyRow(sql);
    const order = ["--yes", "--by", "Hana", "--reason", "test"];
    for (const mode of [["--dry-run"], order]) {
      const { code, stderr } = await run("apply", file, ...here(), ...mode);
      expect(stderr).toContain("Fields: step 1, body: no lead of the workspace has lead.fields.plans; similar: plan");
      expect(stderr).toContain("--new-field <name> allows a field that leads get later");
      expect(code).toBe(1);
    }
    expect(await everyRow(sql)).toEqual(before);
    expect(await run("apply", file, ...here(), ...order, "--new-field", "plans")).toMatchObject({ code: 0 });
    expect(await run("apply", file, ...here(), ...order)).toMatchObject({ code: 0 });
  });

  long.it("exports a file for each sequence, also if names differ in punctuation only, and all or none", async () => {
    for (const name of ["Nudge", "Nudge-3", "nudge!", "Nudge\u001b[2J"]) await addSequence(sql, workspaceId, { name });
    const { code, stdout } = await run("export", folder, ...here());
    expect(code).toBe(0);
    const sorted = ["nudge-2.yaml", "nudge-2j.yaml", "nudge-3.yaml", "nudge.yaml"];
    expect((await readdir(folder)).sort()).toEqual(sorted);
    expect(stdout.trimEnd().split("\n").sort()).toEqual(sorted.map((name) => join(folder, name)));
    for (const name of sorted.slice(0, 2)) await rm(join(folder, name));
    const again = await run("export", folder, ...here());
    expect(again).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/nudge\.yaml, .*nudge-3\.yaml already exist/),
    });
    expect((await readdir(folder)).sort()).toEqual(sorted.slice(2));
  });

  long.it("prints no control character of a row to the terminal", async () => {
    await sql.query("update workspace set name = $2 where id = $1", [workspaceId, "Harbour\u001b[31m\u202eHomes"]);
    const file = join(folder, "new.yaml");
    const step = "{ key: a, delay: 1 day, channel: task, body: x }";
    await writeFile(file, `name: New\ntriggerOn: manual\nsteps: [${step}]\n`);
    const { stdout, stderr } = await run("apply", file, ...here(), ...yes);
    expect(stdout + stderr).toMatch(/Harbour\ufffd\[31m\ufffdHomes/);
    expect(stdout + stderr).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  });

  long.it("reports what a change means for leads in progress, and changes no other workspace", async () => {
    const steps = [{ key: "a", channel: "task", subject: null, body: "one\ntwo" }];
    const { id } = await addSequence(sql, workspaceId, { name: "Chase", steps });
    await addFollowedLead(sql, workspaceId, id);
    await addSequence(sql, await addWorkspace(sql), { name: "Chase", steps });
    const file = join(folder, "chase.yaml");
    await writeFile(
      file,
      `name: Chase
triggerOn: no_response
steps:
  - {key: b, delay: 0 minutes, channel: task, body: new}
  - {key: a, delay: 3 days, channel: task, body: "one\\n2"}
`,
    );
    const { stdout } = await run("apply", file, ...here(), ...yes);
    expect(stdout).toBe(`Chase: version 2; leads in progress (1) finish the version that they started
  + step 1, b
      + delay: 0 minutes
      + channel: task
      + body: new
  ~ step 2, a
      - delay: 1 day
      + delay: 3 days
      - body: two
      + body: 2
`);
    const { rows } = await sql.query("select workspace_id, version from follow_up_sequence where name = 'Chase'");
    expect(rows.map((row) => [row.workspace_id === workspaceId, row.version]).sort()).toEqual([
      [false, 1],
      [true, 2],
    ]);
  });

  long.it("prints all errors of all files, and applies none", async () => {
    const [good = ""] = await filesOf(EXAMPLES);
    const bad = join(folder, "bad.yaml");
    const worse = join(folder, "worse.yaml");
    await writeFile(bad, "name: A\ntriggerOn: never\nsteps: []\n");
    await writeFile(worse, "name: [");
    const before = await everyRow(sql);
    const { code, stderr } = await run("apply", good, bad, worse, ...here(), ...yes);
    expect(code).toBe(1);
    expect(stderr).toContain(`${bad}:2:1: triggerOn: unknown trigger "never"`);
    expect(stderr).toContain(`${bad}:3:1: steps: must contain at least one step`);
    expect(stderr).toContain(`${worse}:1:`);
    expect(stderr).toMatch(/nothing was applied: correct the 3 errors above and try again\n$/);
    expect(await everyRow(sql)).toEqual(before);
  });

  long.it("requires --workspace if there are several, and reports an unknown one", async () => {
    await addWorkspace(sql);
    const [good = ""] = await filesOf(EXAMPLES);
    expect(await run("apply", good, ...yes)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/there are several workspaces: select one of .*Harbour Homes/),
    });
    expect(await run("apply", good, "--workspace", "Nowhere", "--dry-run")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/no workspace "Nowhere"/),
    });
  });
});
