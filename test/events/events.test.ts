import { readdir, readFile } from "node:fs/promises";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { imbalances, type Report } from "../../lib/run/report.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { clearDemo, loadDemo } from "../../prisma/demo/load-demo.ts";
import { everyRow, rowsOf } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { invokeHandler } from "../support/run.ts";
import { useDatabase } from "../support/use-database.ts";

const EVENTS = new URL("../../events/", import.meta.url);
const NORDLICHT = "01000000-0001-7000-8000-000000000002";
/** A workspace whose send window is always open. */
const KAURI = "01000000-0001-7000-8000-000000000003";
/** Each has a test below; the last test compares this list with the folder. */
const TESTED = ["backstop-only.json", "dry-run.json", "limited.json", "one-workspace.json", "scheduled.json"];

const { database, sql } = await useDatabase();

beforeEach(async () => {
  const loading = openDatabase({ connectionString: database.url });
  await clearDemo(loading);
  await loadDemo(loading, { leads: 1_000, seed: 1 });
  await loading.close();
});

async function invoke(file: string): Promise<Report> {
  const event: unknown = JSON.parse(await readFile(new URL(file, EVENTS), "utf8"));
  const report = await invokeHandler(database.url, event);
  expect(report).toMatchObject({ statusCode: 200, success: true, errors: [] });
  expect(imbalances(report)).toEqual([]);
  return report;
}

async function countOf(from: string): Promise<number> {
  const { rows } = await sql.query<{ count: string }>(`select count(*) from ${from}`);
  return Number(rows[0]?.count);
}

const orphans = "follow_up_instance where lead_booked and not post_booking and status in ('active', 'paused')";

describe("scheduled.json", () => {
  long.it("is a full run: every follow-up of a booked lead is completed, and the report balances", async () => {
    const expected = await countOf(orphans);
    expect(expected).toBeGreaterThan(60);
    const report = await invoke("scheduled.json");
    expect(report).toMatchObject({ trigger: "schedule", backstop: { completedCount: expected, remaining: 0 } });
    expect(await countOf(orphans)).toBe(0);
    expect(report.snoozed?.resumed).toBeGreaterThan(10);
    expect(report.resumed?.resumed).toBeGreaterThan(10);
    expect(report.enrichmentResumed?.resumed).toBeGreaterThan(10);
    expect(report.results?.delivery?.sent).toBeGreaterThan(20);
    expect(report.results?.backlog).toBe(0);
  });

  long.it("finds nothing to complete the second time", async () => {
    await invoke("scheduled.json");
    const again = await invoke("scheduled.json");
    expect(again).toMatchObject({ backstop: { completedCount: 0, cancelledTouches: 0, slowestSeconds: 0 } });
  });

  long.it("continues the post-booking sequences of booked leads", async () => {
    const goesOn = "follow_up_instance where lead_booked and post_booking and status in ('active', 'paused')";
    const before = await countOf(goesOn);
    const { rows } = await sql.query<{ id: string }>(
      `select instance.id from follow_up_instance as instance join lead on lead.id = lead_id
        where post_booking and next_step_due <= now() and snoozed_until is null and instance.workspace_id = '${KAURI}'
          and (last_inbound_at is null or last_inbound_at < last_outbound_at)`,
    );
    await invoke("scheduled.json");
    const sent = `touch where status = 'sent' and instance_id in (${rows.map(({ id }) => `'${id}'`)})`;
    expect(await countOf(sent)).toBe(rows.length);
    expect([rows.length > 0, await countOf(goesOn)]).toEqual([true, before]);
  });

  long.it("reports every row to repair, and sends the others", async () => {
    const { results } = await invoke("scheduled.json");
    const reasons = results?.problems.map(({ reason }) => reason).sort();
    expect(reasons).toEqual([
      "already_claimed",
      "invalid_template",
      "invalid_template",
      "invalid_time_zone",
      "missing_data",
      "out_of_steps",
      "out_of_steps",
    ]);
    const faults = results?.problems.flatMap(({ detail }) => detail ?? []).join("\n");
    for (const fault of ["time_zone", "lead.company", "unknown filter, line 1", "not closed, line 1"]) {
      expect(faults).toContain(fault);
    }
  });
});

describe("dry-run.json", () => {
  long.it("decides as a run, reports a sample, and changes nothing", async () => {
    const before = await everyRow(sql);
    const { results, sample, backstop } = await invoke("dry-run.json");
    expect(await everyRow(sql)).toEqual(before);
    expect(backstop?.completedCount).toBeGreaterThan(60);
    expect(results).toMatchObject({ delivery: null });
    expect(sample?.length).toBeGreaterThan(0);
    const real = await invoke("scheduled.json");
    expect(results?.reasons).toEqual(real.results?.reasons);
    expect(await everyRow(sql)).not.toEqual(before);
  });
});

describe("backstop-only.json", () => {
  it("completes the sequences of booked leads, and does nothing else", async () => {
    const due = "follow_up_instance where status = 'active' and not lead_booked and next_step_due <= now()";
    const before = [await countOf(due), await countOf("touch where status = 'sent'")];
    const report = await invoke("backstop-only.json");
    expect(report.backstop?.completedCount).toBeGreaterThan(60);
    expect(report).toMatchObject({ snoozed: null, resumed: null, enrichmentResumed: null, results: null });
    expect([await countOf(due), await countOf("touch where status = 'sent'")]).toEqual(before);
  });
});

describe("one-workspace.json", () => {
  long.it("changes only that workspace", async () => {
    const { rows } = await sql.query<{ id: string }>("select id from workspace order by id");
    const others = rows.map(({ id }) => id).filter((id) => id !== NORDLICHT);
    const before = await Promise.all([NORDLICHT, ...others].map((id) => rowsOf(sql, id)));
    const report = await invoke("one-workspace.json");
    const after = await Promise.all([NORDLICHT, ...others].map((id) => rowsOf(sql, id)));
    expect(Object.keys(report.backstop?.byWorkspace ?? {})).toEqual([NORDLICHT]);
    // Checks `due`, not `claimed`: in the evening the send window of some leads is closed.
    expect(report.results?.due).toBeGreaterThan(30);
    expect(after[0]).not.toEqual(before[0]);
    expect(after.slice(1)).toEqual(before.slice(1));
  });
});

describe("limited.json", () => {
  it("processes fifty due steps, and leaves the rest due", async () => {
    const { results } = await invoke("limited.json");
    expect(results?.due).toBe(50);
    expect(results?.backlog).toBeGreaterThan(200);
  });
});

it("every event in the folder is tested here and explained in its README", async () => {
  const files = (await readdir(EVENTS)).filter((name) => name.endsWith(".json"));
  expect(files.sort()).toEqual(TESTED);
  const readme = await readFile(new URL("README.md", EVENTS), "utf8");
  for (const file of files) expect(readme).toContain(`\`${file}\``);
});
