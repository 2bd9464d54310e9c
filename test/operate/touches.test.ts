import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import {
  addAppointment,
  addBystanders,
  addFollowedLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  rowsOf,
} from "../support/factories.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

const ask = async (question: string, input: object = {}) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question, input })));

const give = async (order: string, input: object, orderId = randomUUID()) =>
  JSON.parse(
    JSON.stringify(await carryOutOrder(sql, { order, input, orderId, by: "Hana", reason: "seen in the log" }, null)),
  );

const TWO_STEPS = { steps: [{}, {}] };
const LATER = { next_step_due: FAR_AHEAD, position: 2 };

/** A lead with a touch of its first step. Its second step is far ahead. */
async function aTouch(workspaceId: string, touch: Columns, { lead = {}, instance = {} } = {}) {
  const chase = await addSequence(sql, workspaceId, TWO_STEPS);
  const followed = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: { ...LATER, ...instance } });
  const touchId = await addTouch(sql, followed.instanceId, chase.steps[0] ?? "", touch);
  return { ...followed, touchId, steps: chase.steps };
}

const touchRow = async (id: string) => (await sql.query("select * from touch where id = $1", [id])).rows[0];

it("lists touches of a status with lead, step, reason and age, without the text, page by page", async () => {
  const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  const unknown = { status: "unknown", reason: "sender_died", last_attempt_at: LONG_AGO };
  const lead = { first_name: "Ada", last_name: "Byron", email: "ada@example.test" };
  const { touchId, leadId } = await aTouch(one, unknown, { lead });
  const elsewhere = await aTouch(other, unknown);
  await aTouch(one, { status: "sent" });
  const { answer } = await ask("touches list", { statuses: ["unknown"], workspace: "One" });
  expect(answer.touches).toEqual([
    expect.objectContaining({
      id: touchId,
      status: "unknown",
      reason: "sender_died",
      leadId,
      leadName: "Ada Byron",
      address: "ada@example.test",
      position: 1,
      channel: "email",
      at: LONG_AGO.toISOString(),
    }),
  ]);
  expect(JSON.stringify(answer)).not.toContain("shall we talk");

  const first = await ask("touches list", { statuses: ["unknown"], limit: 1 });
  expect(first.answer.touches).toMatchObject([{ id: touchId }]);
  const second = await ask("touches list", { statuses: ["unknown"], limit: 1, after: first.answer.next });
  expect(second.answer).toMatchObject({ touches: [{ id: elsewhere.touchId }], next: null });
  const since = new Date(LONG_AGO.getTime() + 1).toISOString();
  expect((await ask("touches list", { statuses: ["unknown"], since })).answer.touches).toEqual([]);
});

it("counts touches by status, channel and reason, and the claimed ones that may go now", async () => {
  const workspaceId = await addWorkspace(sql, { name: "One" });
  const waits = { status: "claimed", reason: "ses_not_reached", recheck_at: LONG_AGO };
  for (const next_attempt_at of [LONG_AGO, FAR_AHEAD]) await aTouch(workspaceId, { ...waits, next_attempt_at });
  await aTouch(workspaceId, { status: "sent", claimed_at: new Date() });
  await aTouch(await addWorkspace(sql, { name: "Other" }), waits);
  const groupsOf = async (input: object) => (await ask("touches count", { workspace: "One", ...input })).answer.groups;
  const claimed = { status: "claimed", channel: "email", reason: "ses_not_reached", touches: 2, due: 1 };
  const sent = expect.objectContaining({ status: "sent", touches: 1, due: 0 });
  expect(await groupsOf({})).toEqual([{ ...claimed, oldest: LONG_AGO.toISOString() }, sent]);
  expect(await groupsOf({ claimedSince: new Date(Date.now() - 3_600_000).toISOString() })).toEqual([sent]);
  expect(await groupsOf({ statuses: ["failed"] })).toEqual([]);
});

it("settles an unknown touch as sent when its attempt started, and records who said so", async () => {
  const workspaceId = await addWorkspace(sql);
  const { touchId } = await aTouch(workspaceId, { status: "unknown", unknown_attempt_at: LONG_AGO });
  expect(await give("touches settle", { touch: touchId, outcome: "sent" })).toEqual({
    outcome: "answered",
    answer: { touchId, status: "sent" },
  });
  expect(await touchRow(touchId)).toMatchObject({ status: "sent", sent_at: LONG_AGO, reason: "settled_by_person" });
  const { rows } = await sql.query("select * from placed_order");
  expect(rows).toMatchObject([{ workspace_id: workspaceId, placed_by: "Hana", answer: { touchId } }]);
});

it("settles an unknown touch once, and no touch of another status", async () => {
  const workspaceId = await addWorkspace(sql);
  const { touchId } = await aTouch(workspaceId, { status: "unknown" });
  const both = await Promise.all([
    give("touches settle", { touch: touchId, outcome: "sent" }),
    give("touches settle", { touch: touchId, outcome: "failed" }),
  ]);
  expect(both.filter(({ outcome }) => outcome === "answered")).toHaveLength(1);
  expect(both.filter(({ code }) => code === "not_unknown")).toHaveLength(1);

  const bystanders = await addBystanders(sql);
  const before = await rowsOf(sql, bystanders);
  const { rows } = await sql.query("select id from touch where workspace_id = $1 and status <> 'unknown'", [
    bystanders,
  ]);
  for (const { id } of rows)
    expect(await give("touches settle", { touch: id, outcome: "failed" })).toMatchObject({ code: "not_unknown" });
  expect(await give("touches settle", { touch: randomUUID(), outcome: "sent" })).toMatchObject({ code: "not_found" });
  expect(await rowsOf(sql, bystanders)).toEqual(before);
});

it("sends failed touches of one reason again by the next run, each once, and none of another tenant", async () => {
  const [workspaceId, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  const failed = { status: "failed", reason: "smtp_550", attempts: 6, failures: 6, last_attempt_at: LONG_AGO };
  const { touchId } = await aTouch(workspaceId, failed);
  const otherReason = await aTouch(workspaceId, { ...failed, reason: "smtp_554" });
  await aTouch(other, failed);
  const before = await rowsOf(sql, other);
  const input = { workspace: "One", failure: "smtp_550" };

  expect((await ask("touches plan-retry", { workspace: "One" })).answer.groups).toEqual([
    { failure: "smtp_550", bar: null, touches: 1 },
    { failure: "smtp_554", bar: null, touches: 1 },
  ]);
  expect((await give("touches retry", input)).answer).toEqual({ workspaceId, retried: 1, more: false });
  expect((await give("touches retry", input)).answer).toMatchObject({ retried: 0 });
  await runner.run();
  expect(runner.channel.sent.map(({ id }) => id)).toEqual([touchId]);
  expect(await touchRow(touchId)).toMatchObject({ status: "sent", attempts: 7 });
  const retriesIn = async (lead: string) =>
    (await ask("leads show", { lead })).answer.story.filter(({ what }: { what: string }) => what === "touches retry");
  expect(await retriesIn(touchId)).toMatchObject([{ touchId, position: 1, by: "Hana" }]);
  expect(await retriesIn(otherReason.touchId)).toEqual([]);
  expect(await touchRow(otherReason.touchId)).toMatchObject({ status: "failed" });
  expect(await rowsOf(sql, other)).toEqual(before);
});

it("retries only touches that were last tried in the given time", async () => {
  const workspaceId = await addWorkspace(sql);
  await aTouch(workspaceId, { status: "failed", last_attempt_at: LONG_AGO });
  const at = LONG_AGO.getTime();
  const times = { since: new Date(at).toISOString(), until: new Date(at + 1).toISOString() };
  const touchesIn = async (input: object) => (await ask("touches plan-retry", input)).answer.groups.length;
  expect(await touchesIn(times)).toBe(1);
  expect(await touchesIn({ since: times.until })).toBe(0);
  expect(await touchesIn({ until: times.since })).toBe(0);
});

it("sends nothing again that must not go out, and says why", async () => {
  const workspaceId = await addWorkspace(sql);
  const failed = { status: "failed", reason: "smtp_550", last_attempt_at: LONG_AGO };
  const booked = await aTouch(workspaceId, failed);
  await addAppointment(sql, booked.leadId);
  await aTouch(workspaceId, failed, { lead: { opted_out_at: LONG_AGO } });
  await aTouch(workspaceId, failed, { lead: { last_inbound_at: FAR_AHEAD } });
  await aTouch(workspaceId, { ...failed, expires_at: LONG_AGO });
  const ended = {
    status: "completed",
    next_step_due: null,
    completed_at: LONG_AGO,
    completed_reason: "meeting_booked",
  };
  await aTouch(workspaceId, failed, { instance: ended });
  const overtaken = await aTouch(workspaceId, failed);
  await addTouch(sql, overtaken.instanceId, overtaken.steps[1] ?? "", { status: "sent" });
  const finished = await aTouch(workspaceId, failed, { instance: { ...ended, completed_reason: "out_of_steps" } });

  const { groups } = (await ask("touches plan-retry")).answer;
  const bars = groups.map(({ bar, touches }: { bar: string | null; touches: number }) => [bar, touches]);
  expect(Object.fromEntries(bars)).toEqual({
    meeting_booked: 1,
    opted_out: 1,
    lead_replied: 1,
    time_to_live_over: 1,
    sequence_ended: 1,
    later_step_went_out: 1,
    null: 1,
  });
  expect((await give("touches retry", {})).answer).toMatchObject({ retried: 1 });
  const { rows } = await sql.query("select id from touch where status = 'claimed'");
  expect(rows).toEqual([{ id: finished.touchId }]);
});

it("does not send a retried touch whose lead books before the next run", async () => {
  const workspaceId = await addWorkspace(sql);
  const { touchId, leadId } = await aTouch(workspaceId, { status: "failed", last_attempt_at: LONG_AGO });
  await give("touches retry", {});
  await addAppointment(sql, leadId);
  await runner.run();
  expect(runner.channel.sent).toEqual([]);
  expect(await touchRow(touchId)).toMatchObject({ status: "cancelled", reason: "meeting_booked" });
});
