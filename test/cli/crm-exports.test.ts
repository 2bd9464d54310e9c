import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, it } from "@jest/globals";
import { importLeadFile, type RowWithVerdict } from "../../cli/import-leads.ts";
import { openLeadFile } from "../../cli/lead-file.ts";
import { operatorOn } from "../../cli/operator.ts";
import { addSequence, addWorkspace, everyRow, type Sequence } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();
let workspaceId: string;
let chase: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
  chase = await addSequence(sql, workspaceId);
});

const exportOf = (crm: string) => fileURLToPath(new URL(`exports/${crm}.csv`, import.meta.url));

async function importing(crm: string, dryRun = false) {
  const file = await openLeadFile(exportOf(crm));
  const rows: RowWithVerdict[] = [];
  const { signal } = new AbortController();
  const onVerdicts = (batch: readonly RowWithVerdict[]) => void rows.push(...batch);
  const order = { by: "Hana", reason: "a test", once: false, dryRun };
  const task = { ...order, workspaceId, country: "DE", sequence: chase.id, onVerdicts, signal };
  const { counts } = await importLeadFile(operatorOn(sql), file, task);
  return { file, counts, verdicts: rows.map(({ line, verdict, reason }) => [line, verdict, reason]) };
}

const COLUMNS = "external_id, first_name, last_name, company, email, phone, linkedin_url, time_zone, fields";
const leads = async () =>
  (await sql.query(`select ${COLUMNS} from lead where workspace_id = $1 order by email`, [workspaceId])).rows.map(
    Object.values,
  );

it("imports an export of HubSpot", async () => {
  const { file, verdicts } = await importing("hubspot");
  expect(file).toMatchObject({ crm: { name: "HubSpot" }, encoding: "utf-8", delimiter: "," });
  expect(verdicts).toEqual([
    [2, "enrolled", ""],
    [3, "enrolled", ""],
    [4, "opted_out", 'the column "Unsubscribed from all email" says so'],
  ]);
  expect(await leads()).toEqual([
    [
      "901",
      "Ada",
      "Byron",
      "Analytical Engines",
      "ada@example.test",
      "+14155550100",
      "https://www.linkedin.com/in/ada",
      "US/Eastern",
      { country_region: "United States" },
    ],
    [
      "902",
      "Bo",
      null,
      "Bo & Sons",
      "bo@example.test",
      "+4915123456789",
      null,
      "Europe/Berlin",
      { country_region: "Germany" },
    ],
  ]);
});

it("imports an export of Apollo, without the numbers of companies", async () => {
  const { file, verdicts } = await importing("apollo");
  expect(file).toMatchObject({ crm: { name: "Apollo" }, encoding: "utf-8", delimiter: "," });
  expect(verdicts).toEqual([
    [2, "enrolled", "phone is dropped: a spreadsheet has rounded it; format the column as text"],
    [4, "opted_out", 'the column "Stage" says so'],
  ]);
  expect(await leads()).toEqual([
    [
      "66a1",
      "Ada",
      "Byron",
      "Analytical Engines",
      "ada@example.test",
      "+14155550100",
      "http://www.linkedin.com/in/ada",
      null,
      { title: "CEO", seniority: "C suite", country: "United States" },
    ],
  ]);
});

it("imports a report of Salesforce in Windows-1252 with semicolons, without its footer", async () => {
  const { file, verdicts } = await importing("salesforce");
  expect(file).toMatchObject({ crm: { name: "Salesforce" }, encoding: "windows-1252", delimiter: ";" });
  expect(verdicts).toEqual([
    [2, "enrolled", ""],
    [4, "enrolled", "phone is dropped: it is not exactly one phone number of DE"],
    [5, "opted_out", 'the column "Email Opt Out" says so'],
  ]);
  const zoe = { title: "Geschäftsführerin", street: "Hauptstraße 1\nHinterhaus", country: "Germany" };
  expect(await leads()).toEqual([
    ["00Q5e00000AbCdF", null, null, null, "bo@example.test", null, null, null, { country: "Germany" }],
    ["00Q5e00000AbCdE", "Zoë", "Müller", "Müller & Söhne", "zoe@example.test", "+4930123456", null, null, zoe],
  ]);
});

it("imports an export of Pipedrive in UTF-16 with tabs", async () => {
  const { file, verdicts } = await importing("pipedrive");
  expect(file).toMatchObject({ crm: { name: "Pipedrive" }, encoding: "utf-16le", delimiter: "\t" });
  expect(verdicts).toEqual([
    [2, "enrolled", ""],
    [3, "opted_out", 'the column "Person - Marketing status" says so'],
  ]);
  expect(await leads()).toEqual([
    ["71", "Ada", "Byron", "Analytical Engines", "ada@example.test", "+4930123456", null, null, {}],
  ]);
});

it("gives the same verdicts in a rehearsal, and writes nothing", async () => {
  const before = await everyRow(sql);
  const rehearsed = await importing("hubspot", true);
  expect(await everyRow(sql)).toEqual(before);
  expect(await importing("hubspot")).toMatchObject({ counts: rehearsed.counts, verdicts: rehearsed.verdicts });
  expect(await leads()).toHaveLength(2);
});

it("has fixtures without real addresses", async () => {
  for (const crm of ["hubspot", "apollo", "salesforce", "pipedrive"]) {
    const text = (await readFile(exportOf(crm), crm === "pipedrive" ? "utf16le" : "utf8")).matchAll(/@([\w.]+)/g);
    expect([...text].filter(([, domain]) => !domain?.endsWith(".test"))).toEqual([]);
  }
});
