import { inspect } from "node:util";
import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { translated } from "../../lib/store/database-errors.ts";
import { addFollowedLead, addLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { clockAt, useRunner } from "../support/run.ts";

const NOW = new Date("2030-01-07T09:00:00Z");
const CANARY = "Qzcanary";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { name: `Tenant ${CANARY}` });
});

/** All free-text columns of `lead`, read from the catalog. */
async function textColumns(): Promise<readonly string[]> {
  const { rows } = await sql.query<{ readonly name: string }>(
    `select column_name as name from information_schema.columns
      where table_schema = 'public' and table_name = 'lead' and data_type = 'text' and is_generated = 'NEVER'`,
  );
  const taken: string[] = [];
  for (const { name } of rows) {
    try {
      await addLead(sql, workspaceId, { [name]: canaryFor(name) });
      taken.push(name);
    } catch (thrown) {
      if ((thrown as { readonly code?: string }).code !== CHECK_VIOLATION) throw thrown;
    }
  }
  expect(taken).toEqual(expect.arrayContaining(["first_name", "last_name", "company", "email", "phone", "time_zone"]));
  await sql.query("delete from lead");
  return taken;
}

const CHECK_VIOLATION = "23514";

const canaryFor = (column: string): string => (column === "email" ? `${CANARY}@example.test` : CANARY);

async function addStepFor(lead: Columns, step: Columns): Promise<string> {
  const { id } = await addSequence(sql, workspaceId, { name: `${CANARY} ${Math.random()}`, steps: [step] });
  return (await addFollowedLead(sql, workspaceId, id, { lead })).instanceId;
}

const runAt = (instant: Date) => runner.run({}, clockAt(instant));

/** Everything that a run leaves for an operator: report, log lines and `run` rows. */
async function tracesOf(report: unknown): Promise<string> {
  const { rows } = await sql.query("select * from run");
  return inspect([report, runner.lines, rows], { depth: null, maxStringLength: null, maxArrayLength: null });
}

const BROKEN: readonly string[] = [
  "{% render lead.last_name %}",
  `{% include '${CANARY}' %}`,
  `{{ lead.last_name | ${CANARY} }}`,
  `{{ lead.last_name | append: '${CANARY}', '${CANARY}' }}`,
  `{{ lead.last_name | append '${CANARY}' }}`,
  `{{ '${CANARY}' | date: '%B', '${CANARY}' }}`,
  `{{ ${CANARY} }}`,
  `{{ lead.${CANARY} }}`,
  `{% ${CANARY} %}`,
  `{% assign ${CANARY} = lead.nothing %}`,
  `{% if lead.linkedin_url %}{% assign ${CANARY} = 'x' %}{% endif %}{% if lead.phone == 'x' %}{% assign b${CANARY} = 1 %}{% endif %}{{ b${CANARY} }}`,
  `{% if lead.phone == 'x' %}{% assign ${CANARY} = 1 %}{% endif %}{{ ${CANARY} }}`,
  `{% case '${CANARY}' %}{% when ${CANARY} %}{% endcase %}`,
  `{% if '${CANARY} %}{% endif %}`,
  `{{ "${CANARY}" "${CANARY}" }}`,
  `{% if true %}${CANARY}`,
  `{{ lead.last_name ${CANARY}`,
  `{% raw %}${CANARY}`,
  `{% assign x = lead.last_name %}${"{% assign x = x | append: x %}".repeat(30)}`,
  `{{ lead.last_name | url_encode | append: "\\u0000" }}`,
];

describe("no value of a lead and no word of a template", () => {
  it("reaches the report, the log or the run row through a broken template", async () => {
    const lead = Object.fromEntries((await textColumns()).map((name) => [name, canaryFor(name)]));
    const everywhere = { ...lead, time_zone: null };
    const soups = fc.sample(brokenTexts(), { numRuns: Math.ceil(60 / ONE_CASE_IN), seed: 14 });
    // Leads that share an address are twins; a run sends to only one of them.
    const emailOf = (index: number) => `${CANARY}-${index}@example.test`;
    const ofSound = { ...everywhere, external_id: "sound", email: emailOf(-1) };
    const sound = await addStepFor(ofSound, { body: "Hi {{ lead.last_name }}" });
    for (const [index, body] of [...BROKEN, ...soups].entries()) {
      const part = index % 2 === 0 ? { body } : { subject: body, body: "Hi" };
      await addStepFor({ ...everywhere, external_id: `${CANARY} ${index}`, email: emailOf(index) }, part);
    }
    const report = await runAt(NOW);

    expect(report).toMatchObject({ success: true, errors: [] });
    expect(report.results?.problems.length).toBeGreaterThanOrEqual(Math.min(50, BROKEN.length));
    expect(await tracesOf(report)).not.toContain(CANARY);
    expect(await tracesOf(report)).not.toMatch(new RegExp(CANARY, "i"));
    // Check of the test: the valid template did send the canary.
    expect(runner.channel.sent.map(({ message }) => message.body)).toContain(`Hi ${CANARY}`);
    expect(inspect(report.results)).not.toContain(sound);
  });

  it("reaches them through a lead that cannot be decided on, in whichever column the value is", async () => {
    for (const column of await textColumns()) {
      await addStepFor({ [column]: canaryFor(column) }, { body: `{{ lead.company }} ${CANARY}` });
    }
    const late = await addStepFor({ last_name: CANARY, snoozed_until: "10000-02-03T00:00Z" }, {});
    const report = await runAt(NOW);

    expect(report).toMatchObject({ success: true, errors: [] });
    expect(report.results?.problems).toContainEqual(
      expect.objectContaining({ instanceId: late, reason: "decision_failed", detail: expect.any(String) }),
    );
    const traces = await tracesOf(report);
    expect(traces).not.toContain(CANARY);
    expect(JSON.stringify(report.results?.problems)).not.toContain("10000-02-03");
  });

  it("reaches them through the database's own words for a value that it cannot read", async () => {
    const fault = await sql.query("select $1::text::int", [CANARY]).catch((thrown: unknown) => translated(thrown));
    expect(inspect(fault, { depth: null })).not.toContain(CANARY);
    expect(fault).toMatchObject({ message: "invalid input syntax for type integer (SQLSTATE 22P02)" });
  });
});

describe("a tenant with hostile templates", () => {
  long.it("holds its own steps, and the other tenant is served in the same run", async () => {
    const slow = (number: number) =>
      `{% assign x = "${number}" %}${"{% assign x = x | append: x | escape | replace: '0', '00000000' %}".repeat(100)}{{ x }}`;
    for (let number = 0; number < 30; number++) {
      const { id } = await addSequence(sql, workspaceId, { steps: [{ body: slow(number) }] });
      for (let lead = 0; lead < 3; lead++) await addFollowedLead(sql, workspaceId, id);
    }
    const healthy = await addWorkspace(sql);
    const { id } = await addSequence(sql, healthy);
    const { leadId } = await addFollowedLead(sql, healthy, id, { instance: { next_step_due: NOW } });

    const report = await runAt(NOW);

    expect(report).toMatchObject({ success: true, results: { due: 91, held: 90, claimed: 1, backlog: 0 } });
    expect(report.results?.reasons).toEqual({ invalid_template: 90, ready: 1 });
    expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([leadId]);
  });
});

/** Templates that are always invalid, with the canary in names, texts and words. */
function brokenTexts(): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    ...[
      "{{",
      "}}",
      "{%",
      "%}",
      " if ",
      " endif ",
      " assign ",
      " case ",
      " when ",
      " render ",
      " for ",
      " | ",
      ":",
      ",",
    ],
    ...[CANARY, `'${CANARY}'`, `'${CANARY}`, "lead.last_name", "(", "[", "=", "==", " ", "\n"],
  );
  return fc.array(piece, { minLength: 3, maxLength: 20 }).map((pieces) => `${pieces.join("")}{{ ${CANARY} `);
}
