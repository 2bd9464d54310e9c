import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import { ORDERS } from "../../lib/operate/orders.ts";
import { QUESTIONS } from "../../lib/operate/questions.ts";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import { addWorkspace, everyRow } from "../support/factories.ts";
import { until } from "../support/transactions.ts";
import { openPool, useDatabase } from "../support/use-database.ts";

const { sql, database } = await useDatabase({ empty: true });

const pause = (workspace: string, changes: object = {}) => ({
  order: "workspaces pause",
  input: { workspace },
  orderId: randomUUID(),
  by: "Hana",
  reason: "wrong price list",
  ...changes,
});

const pausedAt = async (id: string): Promise<Date | null> => {
  const { rows } = await sql.query("select paused_at from workspace where id = $1", [id]);
  return rows[0]?.paused_at;
};

it("gives each question and each order its own name and a summary", () => {
  const all = [...QUESTIONS, ...ORDERS];
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  expect(all.filter(({ summary }) => !/^[A-Z].+\.$/.test(summary))).toEqual([]);
});

it("answers a question in JSON", async () => {
  const id = await addWorkspace(sql, { name: "Harbour Homes" });
  const replied = await answerQuestion(sql, { question: "workspaces list" });
  expect(JSON.parse(JSON.stringify(replied))).toMatchObject({
    outcome: "answered",
    answer: { workspaces: [{ id, name: "Harbour Homes", pausedAt: null, createdAt: expect.stringMatching(/Z$/) }] },
  });
});

it("names all faults of an event together, and the known questions", async () => {
  expect(await answerQuestion(sql, { question: "workspaces list", input: { one: 1, two: 2 } })).toMatchObject({
    outcome: "refused",
    code: "invalid_input",
    message: expect.stringMatching(/one.*two/),
  });
  expect(await answerQuestion(sql, { question: "nothing" })).toMatchObject({
    code: "unknown_question",
    message: expect.stringContaining("workspaces show"),
  });
  expect(await carryOutOrder(sql, { order: "workspaces pause" }, null)).toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(/orderId.*by.*reason/),
  });
});

it("lists the candidates of an ambiguous name, and the workspaces if there is none of that name", async () => {
  const ids = [await addWorkspace(sql, { name: "Twin" }), await addWorkspace(sql, { name: "Twin" })];
  const ambiguous = await answerQuestion(sql, { question: "workspaces show", input: { workspace: "Twin" } });
  expect(ambiguous).toMatchObject({ outcome: "refused", code: "ambiguous" });
  for (const id of ids) expect(JSON.stringify(ambiguous)).toContain(id);
  const unknown = await answerQuestion(sql, { question: "workspaces show", input: { workspace: "Other" } });
  expect(unknown).toMatchObject({ code: "not_found", message: expect.stringContaining("Twin") });
});

it("records who ordered what, when and why, and not the input", async () => {
  const id = await addWorkspace(sql);
  const replied = await carryOutOrder(sql, pause(id), "request-1");
  expect(replied).toEqual({
    outcome: "answered",
    answer: { workspaceId: id, name: "Harbour Homes", changed: true },
  });
  const { rows } = await sql.query("select * from placed_order");
  expect(rows).toMatchObject([
    {
      workspace_id: id,
      name: "workspaces pause",
      placed_by: "Hana",
      reason: "wrong price list",
      request_id: "request-1",
      placed_at: await pausedAt(id),
    },
  ]);
});

it("carries out an order once, however often it arrives, and another with another id", async () => {
  const id = await addWorkspace(sql);
  const sent = pause(id);
  const first = await carryOutOrder(sql, sent, null);
  const at = await pausedAt(id);
  await carryOutOrder(sql, { ...pause(id), order: "workspaces resume" }, null);
  expect(await carryOutOrder(sql, sent, null)).toEqual(first);
  expect(await pausedAt(id)).toBeNull();
  await carryOutOrder(sql, pause(id), null);
  expect(await pausedAt(id)).not.toEqual(at);
});

it("lists orders with who gave them, when and why, by name and workspace, page by page", async () => {
  const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  for (const id of [one, other]) await carryOutOrder(sql, pause(id), "request-1");
  await carryOutOrder(sql, { ...pause(one), order: "workspaces resume" }, null);
  const list = async (input: object) =>
    JSON.parse(JSON.stringify(await answerQuestion(sql, { question: "orders list", input }))).answer;
  expect((await list({ workspace: "One" })).orders).toMatchObject([
    { name: "workspaces resume", workspace: "One" },
    { name: "workspaces pause", by: "Hana", reason: "wrong price list", requestId: "request-1", leadId: null },
  ]);
  const first = await list({ order: "workspaces pause", limit: 1 });
  expect(first).toMatchObject({ orders: [{ workspace: "Other" }], next: first.orders[0].id });
  const second = await list({ order: "workspaces pause", limit: 1, after: first.next });
  expect(second).toMatchObject({ orders: [{ workspace: "One" }], next: null });
});

it("pauses all workspaces together, and resumes exactly those", async () => {
  const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  const guarded = await addWorkspace(sql, { name: "Guarded", paused_at: new Date(), paused_reason: "bounces" });
  await carryOutOrder(sql, pause(other), null);
  const all = (order: string, orderId = randomUUID()) =>
    carryOutOrder(sql, { order: `workspaces ${order}-all`, orderId, by: "Hana", reason: "wrong sender" }, null);
  const orderId = randomUUID();
  const paused = { outcome: "answered", answer: { changed: ["One"], unchanged: ["Guarded", "Other"], more: false } };
  expect(await all("pause", orderId)).toEqual(paused);
  const before = await everyRow(sql);
  expect(await all("pause", orderId)).toEqual(paused);
  expect(await everyRow(sql)).toEqual(before);
  expect(await all("resume")).toMatchObject({ answer: { changed: ["One"], unchanged: ["Guarded", "Other"] } });
  expect(await pausedAt(one)).toBeNull();
  for (const id of [other, guarded]) expect(await pausedAt(id)).toBeInstanceOf(Date);
});

it("gives the answer of a dry run, and changes and records nothing; its twin does", async () => {
  const id = await addWorkspace(sql);
  const before = await everyRow(sql);
  const rehearsed = await carryOutOrder(sql, { ...pause(id), dryRun: true }, null);
  expect(await everyRow(sql)).toEqual(before);
  expect(await carryOutOrder(sql, pause(id), null)).toEqual(rehearsed);
  expect(await pausedAt(id)).toBeInstanceOf(Date);
});

it("refuses the id of another order", async () => {
  const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  const orderId = randomUUID();
  await carryOutOrder(sql, pause(one, { orderId }), null);
  expect(await carryOutOrder(sql, pause(other, { orderId }), null)).toMatchObject({ code: "order_id_used" });
  expect(await pausedAt(other)).toBeNull();
});

it("carries out an order once if it arrives twice at the same time", async () => {
  const id = await addWorkspace(sql);
  const sent = pause(id);
  const holder = await sql.connect();
  await holder.query("begin");
  await holder.query("select from workspace where id = $1 for update", [id]);
  const both = Promise.all([carryOutOrder(sql, sent, "first"), carryOutOrder(sql, sent, "second")]);
  await until("both wait", async () => {
    const { rows } = await sql.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    );
    return rows.length === 2 ? true : undefined;
  });
  await holder.query("commit");
  holder.release();
  const [first, second] = await both;
  expect(second).toEqual(first);
  expect((await sql.query("select from placed_order")).rowCount).toBe(1);
});

it("changes and records nothing if an order is refused", async () => {
  await addWorkspace(sql);
  expect(await carryOutOrder(sql, pause("Nobody"), null)).toMatchObject({ outcome: "refused", code: "not_found" });
  expect((await sql.query("select from placed_order")).rowCount).toBe(0);
});

it("answers every question with a role that may only read, and an order with such a role fails", async () => {
  const id = await addWorkspace(sql);
  const role = `reader_${randomUUID().replaceAll("-", "")}`;
  await sql.query(`create role ${role} login password 'reader'`);
  await sql.query(`grant usage on schema public to ${role}; grant select on all tables in schema public to ${role}`);
  const url = Object.assign(new URL(database.url), { username: role, password: "reader" });
  const pool = openPool(url.href);
  try {
    const asked = { question: "workspaces show", input: { workspace: id } };
    expect(await answerQuestion(pool, asked)).toMatchObject({ outcome: "answered" });
    await expect(carryOutOrder(pool, pause(id), null)).rejects.toThrow("permission denied");
    expect(await carryOutOrder(sql, pause(id), null)).toMatchObject({ outcome: "answered" });
  } finally {
    await pool.end();
    await sql.query(`drop owned by ${role}`);
    await sql.query(`drop role ${role}`);
  }
});
