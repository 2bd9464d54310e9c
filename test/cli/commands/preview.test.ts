import { beforeAll, expect, it } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import { createEmptyDatabase } from "../../support/database.ts";
import { addLead, addSequence, addWorkspace } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql: pool } = await useDatabase();
let workspaceId: string;

beforeAll(async () => {
  workspaceId = await addWorkspace(pool);
});

const preview = (words: readonly string[], url = database.url) =>
  startProgram("cli/backstop.js", ["preview", ...words], { environment: { DATABASE_URL: url } }).ended;

/** The words that name a new step. */
async function aStep(columns: Readonly<Record<string, unknown>> = {}): Promise<readonly string[]> {
  const { id } = await addSequence(pool, workspaceId, { steps: [columns] });
  return [id, "1", "--workspace", workspaceId];
}

long.it("shows the text for a lead as it would be sent", async () => {
  const lead = await addLead(pool, workspaceId, { first_name: "Grace\r\nBcc: x" });
  const step = await aStep({ body: "Hi {{ lead.first_name | upcase }},\nyours, {{ workspace.name }}" });
  const { code, stdout } = await preview([...step, "--lead", lead]);
  expect(stdout).toMatch(/^Step 1 of ".+" \(email\), for the lead /);
  expect(stdout).toContain("\n\nSubject: For Grace Bcc: x\n\nHi GRACE\u{fffd}\nBCC: X,\nyours, Harbour Homes\n");
  expect(code).toBe(0);
});

it("uses a sample lead by default, and shows no subject if the step has none", async () => {
  const { code, stdout } = await preview(await aStep({ channel: "sms", subject: null, body: "Hi {{ lead.company }}" }));
  expect(stdout).toMatch(/\(sms\), for a sample lead\n\nHi Analytical Engines\n$/);
  expect(code).toBe(0);
});

it("names the values that the lead lacks, with code 1", async () => {
  const lead = await addLead(pool, workspaceId, { first_name: null });
  const step = await aStep({ body: "{{ lead.company }}" });
  const ended = await preview([...step, "--lead", lead]);
  expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining("lacks lead.first_name, lead.company\n") });
});

long.it("uses the placeholders that the step allows", async () => {
  const body = "[x] and {y}";
  const { code, stdout } = await preview(await aStep({ body, allowed_placeholders: "{square_brackets}" }));
  expect(stdout).toMatch(/The step cannot be sent\n\nThe body: .*\(braces\) "\{y\}".*\(line 1, column 9\)\n$/);
  expect(code).toBe(1);
});

it("prints every error in the texts, with code 1", async () => {
  const { code, stdout } = await preview(await aStep({ subject: "{{ x }}", body: "{{ lead.first_name | shout }}" }));
  expect(stdout).toMatch(/The step cannot be sent.*The subject: unknown variable x;.*The body: unknown filter shout/s);
  expect(code).toBe(1);
});

long.it("names a step by its key, and the known ones if it is unknown", async () => {
  const [sequence = "", , ...rest] = await aStep({ key: "recap" });
  expect((await preview([sequence, "recap", ...rest])).stdout).toMatch(/^Step 1 of/);
  const ended = await preview([sequence, "2", ...rest]);
  expect(ended).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining('no step "2"; there are 1 (recap)'),
  });
  expect(await preview([sequence])).toMatchObject({
    code: 64,
    stderr: expect.stringMatching(/missing required argument 'step'/),
  });
});

long.it("finds only leads of the step's workspace", async () => {
  const stranger = await addLead(pool, await addWorkspace(pool));
  const ended = await preview([...(await aStep()), "--lead", stranger]);
  expect(ended).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("there is no lead with the id") });
});

long.it("reports a database that is not migrated", async () => {
  const empty = await createEmptyDatabase();
  const ended = await preview(["Chase", "1"], empty.url);
  await empty.drop();
  expect(ended).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^backstop: schema_out_of_date: the database schema lacks.*migrate/m),
  });
});

it("has a help text", async () => {
  const { code, stdout } = await preview(["--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Usage: backstop preview .*sends nothing.*Exits with 1.*Examples:/s);
});

long.it("names a custom field that no lead of the workspace has, with code 1", async () => {
  const lead = await addLead(pool, workspaceId, { fields: '{"job_title": "CTO"}' });
  const step = await aStep({ body: "{{ lead.fields.job_title }} {{ lead.fields.job_titel }}" });
  const [sample, own] = await Promise.all([preview(step), preview([...step, "--lead", lead])]);
  const fault = "The body: no lead of the workspace has lead.fields.job_titel; similar: job_title (line 1, column 32)";
  expect(sample).toMatchObject({ code: 1, stdout: expect.stringContaining(`(job_title) (job_titel)\n\n${fault}\n`) });
  expect(own).toMatchObject({ code: 1, stdout: expect.stringContaining("the lead lacks lead.fields.job_titel\n") });
});
