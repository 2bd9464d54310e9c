import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, it } from "@jest/globals";
import { importLeadFile } from "../../cli/import-leads.ts";
import { openLeadFile } from "../../cli/lead-file.ts";
import { operatorOn } from "../../cli/operator.ts";
import { LEAD_COLUMNS, LEAD_KEYS, TEMPLATE_KEYS } from "../../lib/domain/lead-columns.ts";
import { TEMPLATE_NAMES } from "../../lib/domain/templates.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addSequence, addWorkspace, type Sequence } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const EXAMPLES = Object.fromEntries(LEAD_KEYS.map((key) => [key, LEAD_COLUMNS[key].example]));
const STORED = Object.fromEntries(LEAD_KEYS.map((key) => [LEAD_COLUMNS[key].column, LEAD_COLUMNS[key].example]));

const { sql, runner } = await useRunner();
let workspaceId: string;
let sequence: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  const body = TEMPLATE_KEYS.map((key) => `${key} {{ lead.${LEAD_COLUMNS[key].column} }}`).join("\n");
  sequence = await addSequence(sql, workspaceId, { steps: [{ delay_minutes: 0, body }] });
});

const stored = async () => (await sql.query("select * from lead where workspace_id = $1", [workspaceId])).rows;

it("stores each lead column of an event, and renders the template columns", async () => {
  const fact = { workspaceId, eventId: "columns", occurredAt: hoursAgo(1), sequence: { id: sequence.id } };
  await tell(onPool(sql), "lead.enrolled", { ...fact, leads: [EXAMPLES] });
  expect(await stored()).toEqual([expect.objectContaining(STORED)]);
  await runner.run();
  const touches = await sql.query("select body from touch where workspace_id = $1", [workspaceId]);
  expect(touches.rows).toEqual([
    { body: TEMPLATE_KEYS.map((key) => `${key} ${LEAD_COLUMNS[key].example}`).join("\n") },
  ]);
});

long.it("stores each lead column of a CSV file", async () => {
  const path = join(await temporaryFolder(), "leads.csv");
  await writeFile(path, [Object.keys(STORED), Object.values(STORED)].map((cells) => cells.join(",")).join("\n"));
  const { signal } = new AbortController();
  const given = { workspaceId, country: null, sequence: sequence.id, onVerdicts: () => undefined };
  const task = { ...given, by: "Hana", reason: "a test", once: false, dryRun: false, signal };
  expect(await importLeadFile(operatorOn(sql), await openLeadFile(path), task)).toMatchObject({
    counts: { enrolled: 1 },
  });
  expect(await stored()).toEqual([expect.objectContaining(STORED)]);
});

it("documents each name that a template may read", async () => {
  const page = await readFile(new URL("../../docs/architecture.md", import.meta.url), "utf8");
  expect(TEMPLATE_NAMES.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
