import { randomUUID } from "node:crypto";
import { beforeEach, expect, it } from "@jest/globals";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, everyRow, rowsOf } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const ask = async (question: string, input: object = {}) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question, input })));

const give = async (order: string, input: object) =>
  JSON.parse(
    JSON.stringify(
      await carryOutOrder(sql, { order, input, orderId: randomUUID(), by: "Hana", reason: "too pushy" }, null),
    ),
  );

let workspaceId: string;
let waiting: Awaited<ReturnType<typeof aWaitingTouch>>;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { name: "Harbour Homes" });
  waiting = await aWaitingTouch(workspaceId);
});

async function aWaitingTouch(of: string) {
  const chase = await addSequence(sql, of, { name: "Chase", steps: [{ needs_approval: true }, {}] });
  const instance = { status: "paused", paused_reason: "awaiting_approval" };
  const lead = await addFollowedLead(sql, of, chase.id, { instance, lead: { email: `${of}@example.test` } });
  const touch = { status: "awaiting_approval", subject: "For Ada" };
  return { ...lead, touchId: await addTouch(sql, lead.instanceId, chase.steps[0] ?? "", touch) };
}

const touchRow = async () => (await sql.query("select * from touch where id = $1", [waiting.touchId])).rows[0];
const shown = async () => (await ask("approvals show", { touch: waiting.touchId })).answer;

it("lists what needs approval in a workspace, with the recipient and without the text", async () => {
  await aWaitingTouch(await addWorkspace(sql, { name: "Other" }));
  const { answer } = await ask("approvals list", { workspace: "Harbour Homes" });
  expect(answer).toMatchObject({
    touches: [{ id: waiting.touchId, leadName: "Ada", recipient: `${workspaceId}@example.test`, position: 1 }],
    next: null,
  });
  expect(JSON.stringify(answer)).not.toContain("shall we talk");
  expect((await ask("approvals list")).answer.touches).toHaveLength(2);
});

it("lists in pages, by expiry, and continues after a touch that was decided in between", async () => {
  for (const expires of ["2031-01-02", "2031-01-01", "2031-01-01"]) {
    const { touchId } = await aWaitingTouch(await addWorkspace(sql));
    await sql.query("update touch set expires_at = $2, recheck_at = $2 where id = $1", [touchId, expires]);
  }
  const pages: { id: string; expiresAt: string | null }[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const { answer } = await ask("approvals list", { limit: 1, ...(after && { after }) });
    pages.push(...answer.touches);
    after = answer.next;
    if (after) await give("approvals reject", { touch: after });
  }
  expect(pages.map(({ expiresAt }) => expiresAt?.slice(0, 10) ?? null)).toEqual([
    "2031-01-01",
    "2031-01-01",
    "2031-01-02",
    null,
  ]);
  expect(new Set(pages.map(({ id }) => id)).size).toBe(4);
});

it("shows recipient and text as they are now, and writes nothing", async () => {
  await sql.query("update lead set first_name = 'Grace' where id = $1", [waiting.leadId]);
  const before = await everyRow(sql);
  expect(await shown()).toMatchObject({
    recipient: `${workspaceId}@example.test`,
    subject: "For Grace",
    body: "Hello Grace, shall we talk?",
  });
  expect(await everyRow(sql)).toEqual(before);
});

it("approves the text that was shown, once, and touches no other tenant", async () => {
  const other = await addWorkspace(sql, { name: "Other" });
  await aWaitingTouch(other);
  const before = await rowsOf(sql, other);
  const { fingerprint } = await shown();
  const order = { touch: waiting.touchId, fingerprint };
  expect(await give("approvals approve", order)).toEqual({
    outcome: "answered",
    answer: { touchId: waiting.touchId, outcome: "approved" },
  });
  expect(await touchRow()).toMatchObject({ status: "claimed", decided_by: "Hana" });
  expect(await give("approvals approve", order)).toMatchObject({ code: "already_decided" });
  expect(await rowsOf(sql, other)).toEqual(before);
});

it("refuses a text that changed since it was shown, and changes nothing", async () => {
  const { fingerprint } = await shown();
  await sql.query("update lead set first_name = 'Grace' where id = $1", [waiting.leadId]);
  const before = await everyRow(sql);
  expect(await give("approvals approve", { touch: waiting.touchId, fingerprint })).toMatchObject({
    code: "text_changed",
    message: expect.stringMatching(/changed.*approvals show/),
  });
  expect(await everyRow(sql)).toEqual(before);
});

it("rejects a touch with the reason and the person of the order", async () => {
  expect(await give("approvals reject", { touch: waiting.touchId })).toMatchObject({
    answer: { outcome: "rejected" },
  });
  expect(await touchRow()).toMatchObject({ status: "rejected", reason: "too pushy", decided_by: "Hana" });
  expect(await ask("approvals show", { touch: waiting.touchId })).toMatchObject({
    code: "already_decided",
    message: expect.stringMatching(/is rejected: it was already/),
  });
});

it("refuses a touch that does not exist", async () => {
  expect(await ask("approvals show", { touch: randomUUID() })).toMatchObject({ code: "not_found" });
  expect(await give("approvals reject", { touch: randomUUID() })).toMatchObject({ code: "not_found" });
});
