import { beforeAll, expect } from "@jest/globals";
import { TOUCH_STATUSES } from "../../lib/domain/labels.ts";
import { answerQuestion, type QuestionRequest } from "../../lib/operate/requests.ts";
import { long } from "../support/long.ts";
import {
  ADD_UNKNOWN_LABELS,
  type Odd,
  oddValuesOf,
  spell,
  tenantColumns,
  UNKNOWN_LABEL,
  WRITE_ODD,
  writeOdd,
} from "../support/odd-values.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { deleteAll, useDatabase } from "../support/use-database.ts";
import { addWholeTenant, copyTenant, keepAside } from "../support/whole-tenant.ts";

const { sql } = await useDatabase({ pool: { max: 1, onConnect: (client) => client.query(WRITE_ODD) } });
await sql.query(ADD_UNKNOWN_LABELS);
const columns = await tenantColumns(sql);

beforeAll(async () => {
  await keepAside(sql, [...new Set(columns.map(({ table }) => table))], await addWholeTenant(sql));
});

/** Questions about all workspaces. */
const ABOUT_ALL: readonly QuestionRequest[] = [
  { question: "workspaces list" },
  { question: "forecast", input: { days: 2 } },
  { question: "due" },
  { question: "touches list", input: { statuses: [...TOUCH_STATUSES] } },
  { question: "touches count" },
  { question: "approvals list" },
  { question: "tasks list" },
  { question: "digests list" },
  { question: "leads find", input: { text: "a" } },
];

async function aboutOne(workspace: string): Promise<readonly QuestionRequest[]> {
  const sequences = await idsOf("follow_up_sequence", workspace);
  const leads = await idsOf("lead", workspace);
  return [
    ...["workspaces show", "sequences list", "sequences export", "funnel", "orders list", "facts"].map((question) => ({
      question,
      input: { workspace },
    })),
    ...sequences.map((sequence) => ({ question: "sequences show", input: { workspace, sequence } })),
    ...leads.map((lead) => ({ question: "leads show", input: { workspace, lead } })),
    ...leads.slice(0, 1).map((lead) => ({ question: "leads export", input: { workspace, lead } })),
  ];
}

const LEADS_WITH = "asked|held|failed|completed data";

async function idsOf(table: string, workspace: string): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    `select id from ${table} where workspace_id = $1 ${table === "lead" ? `order by external_id ~ '^(${LEADS_WITH})$' desc nulls last limit 4` : ""}`,
    [workspace],
  );
  return rows.map(({ id }) => id);
}

/** The questions that fail, of tenants with these odd values. */
async function failuresWith(odds: readonly Odd[]): Promise<readonly string[]> {
  await deleteAll(sql);
  const copies = await copyTenant(sql, columns, odds.length);
  const about: QuestionRequest[] = [];
  for (const [index, odd] of odds.entries()) {
    const copy = copies[index];
    if (!copy || (await writeOdd(sql, copy.id, odd)) === 0) continue;
    const isId = odd.column.table === "workspace" && odd.column.name === "id";
    about.push(...(await aboutOne((isId && odd.value) || copy.id)));
  }
  const failures: string[] = [];
  for (const request of [...ABOUT_ALL, ...about]) {
    const fault = await answerQuestion(sql, request).then(
      // A question about one tenant may be refused, such as one about a sequence without steps.
      (replied) => (replied.outcome === "refused" && ABOUT_ALL.includes(request) ? replied.message : undefined),
      (thrown: Error) => `${thrown.name}: ${thrown.message}`,
    );
    if (fault) failures.push(`${request.question}: ${fault.slice(0, 300)}`);
  }
  return [...new Set(failures)];
}

/** Names the values that make a question fail, by bisecting. */
async function examine(odds: readonly Odd[]): Promise<readonly string[]> {
  const [first] = odds;
  if (!first) return [];
  const failures = await failuresWith(odds);
  if (failures.length === 0) return [];
  if (odds.length === 1) return failures.map((failure) => `${spell(first)}: ${failure}`);
  const half = Math.ceil(odds.length / 2);
  return [...(await examine(odds.slice(0, half))), ...(await examine(odds.slice(half)))];
}

const all = columns.flatMap((column) => oddValuesOf(column).map((value) => ({ column, value })));
const unknown = all.filter(({ value }) => value?.includes(UNKNOWN_LABEL));

async function examineAll(odds: readonly Odd[], size: number): Promise<readonly string[]> {
  const failures: string[] = [];
  for (let from = 0; from < odds.length; from += size) failures.push(...(await examine(odds.slice(from, from + size))));
  return failures;
}

long.it(
  "answers every question beside labels that only a newer database knows, and about the rows that have them",
  async () => {
    expect(unknown.length).toBeGreaterThan(15);
    expect(await examineAll(unknown, 20)).toEqual([]);
  },
  300_000,
);

long.it(
  "answers every question beside any value that the database accepts, and about its tenant",
  async () => {
    const sampled = all.filter((_, index) => index % (16 * ONE_CASE_IN) === 0);
    expect(await examineAll(sampled, 30)).toEqual([]);
  },
  600_000,
);
