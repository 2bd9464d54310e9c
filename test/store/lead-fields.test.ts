import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { importLeadFile } from "../../cli/import-leads.ts";
import { openLeadFile } from "../../cli/lead-file.ts";
import { operatorOn } from "../../cli/operator.ts";
import { isFieldName, LONGEST_FIELD, MOST_FIELDS } from "../../lib/domain/lead-fields.ts";
import { addFieldNames, readFieldNames } from "../../lib/store/lead-fields.ts";
import { saveSequence } from "../../lib/store/sequences.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addLead, addSequence, addWorkspace, type Sequence } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const { sql, runner } = await useRunner();
const db = onPool(sql);
let workspaceId: string;
let sequence: Sequence;
let events = 0;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  const body = "Hi {{ lead.fields.title | downcase }} of {{ lead.fields.team }}";
  sequence = await addSequence(sql, workspaceId, { steps: [{ delay_minutes: 0, body }] });
});

async function enrol(leads: readonly unknown[], hours = 1): Promise<readonly string[]> {
  events += 1;
  const fact = { workspaceId, eventId: `fields ${events}`, occurredAt: hoursAgo(hours), sequence: { id: sequence.id } };
  const outcome = await tell(db, "lead.enrolled", { ...fact, leads });
  if (outcome.outcome !== "applied") throw new Error(outcome.outcome);
  return outcome.verdicts ?? [];
}
async function storedFields(): Promise<readonly unknown[]> {
  const { rows } = await sql.query("select fields from lead where workspace_id = $1 order by email", [workspaceId]);
  return rows.map(({ fields }) => fields);
}
const textOf = async () =>
  (await sql.query("select body from touch where workspace_id = $1 order by id", [workspaceId])).rows.map(
    ({ body }) => body,
  );
const names = () => readFieldNames(db, workspaceId);
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, "x"]));

describe("custom fields of an event", () => {
  it("are stored, rendered, sent to webhooks and known in the workspace", async () => {
    await sql.query("update follow_up_step set channel = 'webhook', subject = null where id = $1", [sequence.steps[0]]);
    const fields = { title: "CTO", team: "Ops", size: 50, is_customer: false, notes: null, city: " " };
    expect(await enrol([{ email: "a@example.test", fields }])).toEqual(["enrolled"]);
    const kept = { title: "CTO", team: "Ops", size: "50", is_customer: "false" };
    expect(await storedFields()).toEqual([kept]);
    expect(await names()).toEqual(["is_customer", "size", "team", "title"]);
    await runner.run();
    expect(await textOf()).toEqual(["Hi cto of Ops"]);
    expect(runner.channel.sentTo(workspaceId)[0]?.details?.lead.fields).toEqual(kept);
  });

  it("keep the newer value of each field, in any order of arrival", async () => {
    await enrol([{ email: "a@example.test", fields: { title: "new", team: "T" } }], 1);
    await enrol([{ email: "a@example.test", fields: { title: "old", city: "Ulm" } }], 5);
    await enrol([{ email: "a@example.test" }], 0);
    expect(await storedFields()).toEqual([{ title: "new", team: "T", city: "Ulm" }]);
  });

  it.each<[string, unknown, RegExp]>([
    ["a name that no template can use", { "Job Title": "CTO" }, /"Job Title" is not a name.*use job_title/],
    ["a name from every object", JSON.parse('{"__proto__": "x"}'), /"__proto__" is not a name/],
    ["a list", { tags: ["a"] }, /tags must be a text, a number or a boolean/],
    ["a long text", { note: "x".repeat(LONGEST_FIELD + 1) }, /note has more than 1000 characters/],
    ["a NUL", { note: "\0" }, /note must not contain control characters/],
    ["half a character", { note: "\ud800" }, /note must be well-formed Unicode/],
    ["too many fields", many(MOST_FIELDS + 1), /has more than 50 custom fields/],
    ["a text", "title", /fields: must be an object of texts/],
  ])("with %s make the lead invalid by name, and no other lead", async (_, fields, verdict) => {
    const others = [{ email: "b@example.test", fields: many(MOST_FIELDS) }];
    const verdicts = await enrol([{ email: "a@example.test", fields }, ...others]);
    expect(verdicts).toEqual([expect.stringMatching(verdict), "enrolled"]);
    expect(await storedFields()).toEqual([many(MOST_FIELDS)]);
  });

  it("are rejected by name beside `fields`", async () => {
    expect(await enrol([{ email: "a@example.test", title: "CTO" }])).toEqual(['invalid: unknown key "title"']);
  });

  it("that together with the stored ones are too many make that lead invalid, and no other", async () => {
    await enrol([{ email: "a@example.test", fields: many(MOST_FIELDS) }]);
    expect(
      await enrol([
        { email: "a@example.test", fields: { one_more: "x" } },
        { email: "b@example.test", fields: { one_more: "x" } },
      ]),
    ).toEqual(["invalid: fields: the lead would have more than 50 custom fields", "enrolled"]);
    expect(await storedFields()).toEqual([many(MOST_FIELDS), { one_more: "x" }]);
  });
});

describe("custom fields in SQL", () => {
  const set = (fields: unknown) => addLead(sql, workspaceId, { fields: JSON.stringify(fields) });

  it.each<[string, unknown]>([
    ["a list", []],
    ["null", null],
    ["a number", { size: 5 }],
    ["a name with a capital", { Title: "x" }],
    ["a name with a line break", { "title\n": "x" }],
    ["a long name", { [`a${"b".repeat(40)}`]: "x" }],
    ["a long text", { note: "ä".repeat(LONGEST_FIELD + 1) }],
    ["too many fields", many(MOST_FIELDS + 1)],
  ])("reject %s at the write", async (_, fields) => {
    const violation = { code: "23514", constraint: "lead_fields_are_texts" };
    await expect(set(fields)).rejects.toMatchObject(violation);
    const id = await set({ ok: "x" });
    const update = sql.query("update lead set fields = $2 where id = $1", [id, JSON.stringify(fields)]);
    await expect(update).rejects.toMatchObject(violation);
    expect(await names()).toEqual(["ok"]);
  });

  it("accept everything up to the limits", async () => {
    await set({ ...many(MOST_FIELDS - 2), [`a${"b".repeat(39)}`]: "", note: "ä".repeat(LONGEST_FIELD) });
    expect(await storedFields()).toHaveLength(1);
    expect((await names()).every(isFieldName)).toBe(true);
  });

  it("of two transactions that add names in opposite orders do not deadlock", async () => {
    const other = await sql.connect();
    const one = await sql.connect();
    await one.query("begin");
    await other.query("begin");
    const write = (client: typeof one, name: string) =>
      client.query(
        "insert into lead (workspace_id, email, fields) values ($1, $2, jsonb_build_object($2::text, 'x'))",
        [workspaceId, name],
      );
    await write(one, "x");
    const waits = write(other, "y").then(() => write(other, "x"));
    await write(one, "y");
    await one.query("commit");
    await waits;
    await other.query("commit");
    one.release();
    other.release();
    expect(await names()).toEqual(["x", "y"]);
  });
});

describe("a custom field that a lead lacks", () => {
  it("pauses its sequence until it is added, and the lead that has it gets its message", async () => {
    const { leadId } = await addFollowedLead(sql, workspaceId, sequence.id, {
      lead: { fields: '{"title": " ", "team": "Ops"}' },
    });
    await addFollowedLead(sql, workspaceId, sequence.id, { lead: { fields: '{"title": "CTO", "team": "Ops"}' } });
    await runner.run();
    expect(await textOf()).toEqual(["Hi cto of Ops"]);
    const { rows } = await sql.query(
      "select paused_reason from follow_up_instance where workspace_id = $1 and status = 'paused'",
      [workspaceId],
    );
    expect(rows).toEqual([{ paused_reason: "missing_data" }]);
    await sql.query(`update lead set fields = fields || '{"title": "CEO"}' where id = $1`, [leadId]);
    await runner.run();
    expect(await textOf()).toEqual(["Hi cto of Ops", "Hi ceo of Ops"]);
  });

  it("is not named with its value in logs or reports", async () => {
    const lead = { fields: '{"title": "Qzsecret", "team": "Qzsecret"}' };
    await addFollowedLead(sql, workspaceId, sequence.id, { lead });
    const report = await runner.run();
    expect(await textOf()).toEqual(["Hi qzsecret of Qzsecret"]);
    expect(JSON.stringify([report, runner.lines])).not.toMatch(/qzsecret/i);
  });
});

describe("a sequence with custom fields", () => {
  const saved = (body: string) =>
    saveSequence(runner.ports.database.prisma, {
      workspaceId,
      name: "Chase",
      triggerOn: "manual",
      steps: [{ key: "a", delayMinutes: 0, channel: "sms", body }],
    });

  it("may use the names of its workspace only, and lists the similar ones", async () => {
    await addLead(sql, workspaceId, { fields: '{"job_title": "CTO", "city": "Ulm"}' });
    await addLead(sql, await addWorkspace(sql), { fields: '{"elsewhere": "x"}' });
    await saved("{{ lead.fields.job_title }}");
    const unknown = "no lead of the workspace has";
    await expect(saved("Hi\n{{ lead.fields.job_titel }}")).rejects.toThrow(
      `Chase: step 1, body: ${unknown} lead.fields.job_titel; similar: job_title (line 2, column 4)`,
    );
    await expect(saved("{{ lead.fields.elsewhere }}")).rejects.toThrow("its custom fields: city, job_title");
    await addFieldNames(db, workspaceId, ["elsewhere", "city"]);
    await saved("{{ lead.fields.elsewhere }}");
  });

  it("keeps its names when the last lead that has them is gone", async () => {
    const id = await addLead(sql, workspaceId, { fields: '{"city": "Ulm"}' });
    await sql.query("delete from lead where id = $1", [id]);
    await saved("{{ lead.fields.city }}");
  });
});

describe("custom fields of a CSV file", () => {
  const { signal } = new AbortController();

  it("come from --map and from headings, and an unusable one is dropped with a warning", async () => {
    const path = join(await temporaryFolder(), "leads.csv");
    const rows = [
      "Email,Job Title,fields.team,Notes",
      `a@example.test,CTO,"Ops,\nNorth",n/a`,
      `b@example.test,${"x".repeat(LONGEST_FIELD + 1)},Ops,fine`,
    ];
    await writeFile(path, rows.join("\n"));
    const map = ["Job Title=fields.title", "Notes=fields.Notes"];
    const file = await openLeadFile(path, { map, ignoreOtherColumns: false });
    const warnings: string[] = [];
    const onVerdicts = (verdicts: readonly { readonly reason: string }[]) =>
      void warnings.push(...verdicts.map(({ reason }) => reason));
    const order = { by: "Hana", reason: "a test", once: false, dryRun: false };
    const task = { ...order, workspaceId, country: null, sequence: sequence.id, onVerdicts, signal };
    expect(await importLeadFile(operatorOn(sql), file, task)).toMatchObject({ counts: { enrolled: 2 } });
    expect(await storedFields()).toEqual([
      { title: "CTO", team: "Ops,\nNorth" },
      { team: "Ops", notes: "fine" },
    ]);
    expect(warnings.join()).toContain("fields.title is dropped: has more than 1000 characters");
  });

  it("need a name that templates can use", async () => {
    const path = join(await temporaryFolder(), "leads.csv");
    await writeFile(path, "Email,Job Title\na@example.test,CTO");
    const opened = (map: string) => openLeadFile(path, { map: [map], ignoreOtherColumns: false });
    await expect(opened("Job Title=fields.Job Title")).rejects.toThrow("neither a column of a lead nor a custom field");
    await expect(opened("Job Title=title")).rejects.toThrow("neither a column of a lead nor a custom field");
    expect((await openLeadFile(path)).places.get("fields.job_title")).toEqual([1]);
  });
});
