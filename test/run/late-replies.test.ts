import { beforeEach, describe, expect, it } from "@jest/globals";
import { addFollowedLead, addInstance, addSequence, addWorkspace } from "../support/factories.ts";
import { accept, clockAt, leftClaimed, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let leadId: string;

/** Time of the first attempt. */
const FIRST = "2030-01-07T12:00:00Z";
const hoursAfter = (hours: number) => new Date(Date.parse(FIRST) + hours * 60 * 60_000);
const runAfter = (hours: number) => runner.run({}, clockAt(hoursAfter(hours)));

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId, { steps: [{}, { channel: "sms" }] });
  ({ leadId } = await addFollowedLead(sql, workspaceId, id));
});

/** Attempts the first step; the provider gives that answer. */
async function firstAttempt(answer: "retry" | "accepted"): Promise<void> {
  runner.channel.answer = (touch) => (answer === "retry" ? { kind: "retry", reason: "smtp_451" } : accept(touch));
  await runAfter(0);
  expect(runner.channel.sent).toHaveLength(1);
  runner.channel.reset();
}

/** Committed now but dated before the attempt, like a delayed event. */
const replyFromBefore = () =>
  sql.query("update lead set last_inbound_at = $2 where id = $1", [leadId, hoursAfter(-1 / 60)]);

const sentChannels = () => runner.channel.sent.map(({ channel }) => channel);
const statesOf = async (table: "touch" | "follow_up_instance", why: "reason" | "paused_reason") =>
  (await sql.query(`select status, ${why} as why from ${table} where lead_id = $1 order by id`, [leadId])).rows;

describe("a reply from before a failed attempt, reported after it", () => {
  beforeEach(() => firstAttempt("retry"));

  it("blocks the next attempt and the next step", async () => {
    await replyFromBefore();
    await runAfter(2);
    expect(await statesOf("touch", "reason")).toEqual([{ status: "cancelled", why: "lead_replied" }]);
    await runAfter(48);
    expect(sentChannels()).toEqual([]);
    expect(await statesOf("follow_up_instance", "paused_reason")).toEqual([{ status: "paused", why: "lead_replied" }]);
  });

  it("does not pass for answered when the lead has been silent since", async () => {
    await replyFromBefore();
    await runAfter(2);
    await runAfter(48);
    expect(await runAfter(24 * 30)).toMatchObject({ resumed: { checked: 1, resumed: 0 } });
    await sql.query("update lead set last_outbound_at = $2 where id = $1", [leadId, hoursAfter(72)]);
    expect(await runAfter(24 * 31)).toMatchObject({ resumed: { checked: 1, resumed: 1 } });
  });

  it("blocks a third attempt as well", async () => {
    runner.channel.answer = () => ({ kind: "retry", reason: "smtp_451" });
    await runAfter(2);
    expect(sentChannels()).toEqual(["email"]);
    await replyFromBefore();
    await runAfter(6);
    expect(sentChannels()).toEqual(["email"]);
  });

  it("also blocks it after a pause in between", async () => {
    await sql.query("update workspace set paused_at = now()");
    await runAfter(2);
    await replyFromBefore();
    await sql.query("update workspace set paused_at = null");
    await runAfter(4);
    expect(await statesOf("touch", "reason")).toEqual([{ status: "cancelled", why: "lead_replied" }]);
    expect(sentChannels()).toEqual([]);
  });

  it("is answered by a later touch of another sequence", async () => {
    const other = await addSequence(sql, workspaceId, { steps: [{ channel: "webhook" }] });
    await addInstance(sql, leadId, other.id, { next_step_due: hoursAfter(0.1) });
    await sql.query("update touch set next_attempt_at = $1, recheck_at = $1 where status = 'claimed'", [hoursAfter(3)]);
    await runAfter(1);
    expect(sentChannels()).toEqual(["webhook"]);
    await replyFromBefore();
    await runAfter(36);
    await runAfter(72);
    expect(sentChannels().sort()).toEqual(["email", "sms", "webhook"]);
  });

  it("is the only thing that holds the attempt: without it both steps go out", async () => {
    await runAfter(2);
    await runAfter(48);
    expect(sentChannels()).toEqual(["email", "sms"]);
  });
});

it("a message that went out answers an earlier reply", async () => {
  await firstAttempt("accepted");
  await replyFromBefore();
  await runAfter(48);
  expect(sentChannels()).toEqual(["sms"]);
});

it("a touch of another sequence does not take the turn of an attempt that a reply has overtaken", async () => {
  const other = await addSequence(sql, workspaceId, { steps: [{ channel: "webhook" }] });
  await firstAttempt("retry");
  // The id of the later touch sorts first.
  await sql.query("update touch set id = 'ffffffff-ffff-7fff-bfff-ffffffffffff'");
  await addInstance(sql, leadId, other.id, { next_step_due: hoursAfter(0.1) });
  const store = {
    ...leftClaimed(runner.ports.store),
    // Both touches start together: the retried one, and the one decided after it.
    startSending: async (touchIds: readonly string[], lease: { now: Date; until: Date }) => {
      await replyFromBefore();
      const { rows } = await sql.query<{ id: string }>(
        "update touch set next_attempt_at = $1, recheck_at = $1 where status = 'claimed' returning id",
        [lease.now],
      );
      return runner.ports.store.startSending([...new Set([...touchIds, ...rows.map(({ id }) => id)])], lease);
    },
  };
  await sql.query("update touch set next_attempt_at = $1, recheck_at = $1 where status = 'claimed'", [hoursAfter(20)]);
  await runner.run({}, { store, ...clockAt(hoursAfter(1)) });
  await runAfter(24);
  expect(sentChannels()).toEqual([]);
  expect(await statesOf("touch", "reason")).toEqual([
    { status: "cancelled", why: "lead_replied" },
    { status: "cancelled", why: "lead_replied" },
  ]);
});
