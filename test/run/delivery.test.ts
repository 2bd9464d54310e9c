import { afterEach, describe, expect, it } from "@jest/globals";
import { taskChannel } from "../../lib/channels/task.ts";
import type { SendOutcome } from "../../lib/run/channel-ports.ts";
import { createTask } from "../../lib/store/touches.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, FAR_AHEAD, LONG_AGO } from "../support/factories.ts";
import { accept, clockAt, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

const { sql: pool, runner } = await useRunner();

afterEach(() => {
  runner.channel.reset();
});

interface TouchRow {
  status: string;
  reason: string | null;
  attempts: number;
  provider_id: string | null;
  next_attempt_at: Date | null;
}

async function touchesOf(workspaceId: string): Promise<TouchRow[]> {
  const { rows } = await pool.query<TouchRow>(
    "select status, reason, attempts, provider_id, next_attempt_at from touch where workspace_id = $1 order by id",
    [workspaceId],
  );
  return rows;
}

/** Adds a workspace with one lead whose only step is due. */
async function oneDue(): Promise<string> {
  const workspaceId = await addWorkspace(pool);
  const sequence = await addSequence(pool, workspaceId);
  await addFollowedLead(pool, workspaceId, sequence.id);
  return workspaceId;
}

/** Columns of a claimed touch that may be sent now. */
const READY = { status: "claimed", next_attempt_at: LONG_AGO, recheck_at: LONG_AGO, send_until: FAR_AHEAD };

/** Adds a touch that an earlier run left, with the given columns. */
async function leftBehind(columns: Readonly<Record<string, unknown>>): Promise<string> {
  const workspaceId = await addWorkspace(pool);
  const { id, steps } = await addSequence(pool, workspaceId);
  const instance = { status: "completed", completed_reason: "out_of_steps" };
  const { instanceId } = await addFollowedLead(pool, workspaceId, id, { instance });
  await addTouch(pool, instanceId, steps[0] ?? "", columns);
  return workspaceId;
}

describe("a provider's answer", () => {
  it.each<[SendOutcome, Partial<TouchRow>, string]>([
    [{ kind: "accepted", providerId: "p1" }, { status: "sent", provider_id: "p1" }, "sent"],
    [{ kind: "refused", reason: "smtp_550" }, { status: "failed", reason: "smtp_550" }, "failed"],
    [{ kind: "retry", reason: "smtp_451" }, { status: "claimed", reason: "smtp_451", attempts: 1 }, "retrying"],
    [{ kind: "unknown", reason: "no_answer" }, { status: "unknown", reason: "no_answer" }, "unknown"],
  ])("decides the status of the touch: %j", async (outcome, touch, counted) => {
    const workspaceId = await oneDue();
    runner.channel.answer = () => outcome;
    const { results } = await runner.run({ workspaceId });
    expect(results).toMatchObject({ due: 1, claimed: 1, delivery: { [counted]: 1 } });
    expect(await touchesOf(workspaceId)).toEqual([expect.objectContaining(touch)]);
  });

  it("becomes unknown if the channel throws, and the others of its group continue", async () => {
    const workspaceId = await addWorkspace(pool);
    const sequence = await addSequence(pool, workspaceId);
    for (let lead = 0; lead < 3; lead++) await addFollowedLead(pool, workspaceId, sequence.id);
    let calls = 0;
    runner.channel.answer = (touch) => {
      calls += 1;
      if (calls === 2) throw new Error("a bug");
      return accept(touch);
    };
    const { results, success } = await runner.run({ workspaceId });
    expect(success).toBe(true);
    expect(results?.delivery).toMatchObject({ sent: 2, unknown: 1 });
  });

  it("logs the class and place of an error that the channel throws, without the lead's data", async () => {
    const workspaceId = await oneDue();
    runner.channel.answer = () => {
      throw new TypeError("no mailbox ada@example.test\n    at home");
    };
    await runner.run({ workspaceId });
    const [line] = runner.lines.filter(({ event }) => event === "channel.threw").slice(-1);
    const frame = expect.stringMatching(/^ {4}at .*delivery\.test\.ts:\d+:\d+/);
    expect(line?.fields).toMatchObject({
      channel: "email",
      error: { name: "TypeError", frames: expect.arrayContaining([frame]) },
    });
    expect(JSON.stringify(line)).not.toMatch(/ada@|at home/);
  });

  it("gets no second call for a touch that was sent, rejected or has an unknown outcome", async () => {
    const workspaceId = await oneDue();
    runner.channel.answer = () => ({ kind: "unknown", reason: "no_answer" });
    await runner.run({ workspaceId });
    await pool.query("update touch set claimed_at = $2 where workspace_id = $1", [workspaceId, LONG_AGO]);
    const { recovered } = await runner.run({ workspaceId });
    expect(recovered).toMatchObject({ takenUp: 0, unknown: 0 });
    expect(runner.channel.sentTo(workspaceId)).toHaveLength(1);
  });
});

describe("a touch that failed for now", () => {
  it("is sent by a later run once its time has come, and not before", async () => {
    const early = await leftBehind({ status: "claimed", next_attempt_at: FAR_AHEAD, recheck_at: FAR_AHEAD });
    const ready = await leftBehind(READY);
    expect((await runner.run({ workspaceId: early })).recovered).toMatchObject({ takenUp: 0 });
    expect((await runner.run({ workspaceId: ready })).recovered).toMatchObject({ takenUp: 1, delivery: { sent: 1 } });
    expect(await touchesOf(early)).toMatchObject([{ status: "claimed" }]);
    expect(await touchesOf(ready)).toMatchObject([{ status: "sent", attempts: 1 }]);
  });

  it("waits longer after each attempt, and fails after the sixth", async () => {
    const workspaceId = await oneDue();
    runner.channel.answer = () => ({ kind: "retry", reason: "smtp_451" });
    const waits: number[] = [];
    for (let attempt = 1; attempt <= 6; attempt++) {
      const { timestamp } = await runner.run({ workspaceId });
      const [touch] = await touchesOf(workspaceId);
      if (touch?.next_attempt_at) waits.push(touch.next_attempt_at.getTime() - Date.parse(timestamp ?? ""));
      await pool.query(
        "update touch set next_attempt_at = $2, recheck_at = $2 where workspace_id = $1 and status = 'claimed'",
        [workspaceId, LONG_AGO],
      );
    }
    const minutes = waits.map((wait) => wait / 60_000);
    expect(minutes.map((wait, index) => wait > 2 ** index / 2 && wait <= 2 ** index)).toEqual(Array(5).fill(true));
    expect(await touchesOf(workspaceId)).toMatchObject([{ status: "failed", reason: "smtp_451", attempts: 6 }]);
  });

  it("can be deferred by its provider any number of times, and waits as long as the provider requests", async () => {
    const workspaceId = await oneDue();
    const throttled = { retryAfterMs: 30 * 60_000 };
    runner.channel.answer = () => ({ kind: "retry", reason: "webhook_429", throttled });
    for (let attempt = 1; attempt <= 8; attempt++) {
      const { timestamp } = await runner.run({ workspaceId });
      const [touch] = await touchesOf(workspaceId);
      expect(touch).toMatchObject({ status: "claimed", attempts: attempt });
      expect((touch?.next_attempt_at?.getTime() ?? 0) - Date.parse(timestamp ?? "")).toBe(30 * 60_000);
      await pool.query("update touch set next_attempt_at = $2, recheck_at = $2 where workspace_id = $1", [
        workspaceId,
        LONG_AGO,
      ]);
    }
    runner.channel.answer = accept;
    expect((await runner.run({ workspaceId })).recovered).toMatchObject({ delivery: { sent: 1 } });
  });

  it("does not go out at night and waits until the window opens", async () => {
    const night = new Date("2030-01-07T23:30:00Z");
    const workspaceId = await leftBehind({
      ...READY,
      attempts: 1,
      failures: 1,
      send_until: new Date("2030-01-07T17:00:00Z"),
    });
    await pool.query("update workspace set window_start = '09:00', window_end = '17:00' where id = $1", [workspaceId]);
    expect((await runner.run({ workspaceId }, clockAt(night))).recovered).toMatchObject({
      delivery: { deferred: 1, sent: 0 },
    });
    const morning = new Date("2030-01-08T09:00:00Z");
    expect(await touchesOf(workspaceId)).toMatchObject([{ status: "claimed", next_attempt_at: morning }]);
    const early = clockAt(new Date(morning.getTime() - 1));
    expect((await runner.run({ workspaceId }, early)).recovered).toMatchObject({ takenUp: 0 });
    expect((await runner.run({ workspaceId }, clockAt(morning))).recovered).toMatchObject({ delivery: { sent: 1 } });
  });

  it("expires if its time to live ends before it is sent, and not earlier", async () => {
    const now = new Date("2030-01-07T12:00:00Z");
    const at = clockAt(now);
    const over = await leftBehind({ ...READY, expires_at: now });
    const inTime = await leftBehind({ ...READY, expires_at: new Date(now.getTime() + 1) });
    expect((await runner.run({ workspaceId: over }, at)).recovered).toMatchObject({
      delivery: { expired: 1, sent: 0 },
    });
    expect((await runner.run({ workspaceId: inTime }, at)).recovered).toMatchObject({ delivery: { sent: 1 } });
    expect(await touchesOf(over)).toMatchObject([{ status: "expired" }]);
  });

  it("is cancelled if its lead has booked since", async () => {
    const workspaceId = await leftBehind(READY);
    await pool.query("update lead set status = 'meeting-booked' where workspace_id = $1", [workspaceId]);
    const { recovered } = await runner.run({ workspaceId });
    expect(recovered).toMatchObject({ takenUp: 1, delivery: { cancelled: 1 } });
    expect(await touchesOf(workspaceId)).toMatchObject([{ status: "cancelled", reason: "meeting_booked" }]);
    expect(runner.channel.sentTo(workspaceId)).toEqual([]);
  });

  it("stays claimed while its lead is being changed, and waits while its workspace is paused", async () => {
    const changing = await leftBehind(READY);
    const transaction = await openTransaction(pool);
    await transaction.query("update lead set company = 'x' where workspace_id = $1", [changing]);
    expect((await runner.run({ workspaceId: changing })).recovered).toMatchObject({
      takenUp: 1,
      delivery: { retrying: 1 },
    });
    await transaction.rollback();
    const paused = await leftBehind(READY);
    await pool.query("update workspace set paused_at = now() where id = $1", [paused]);
    const waiting = await runner.run({ workspaceId: paused });
    expect(waiting.recovered).toMatchObject({ takenUp: 1, delivery: { deferred: 1 } });
    expect(runner.channel.sent).toEqual([]);
    expect((await runner.run({ workspaceId: changing })).recovered).toMatchObject({ delivery: { sent: 1 } });
  });
});

describe("a touch whose sender crashed", () => {
  it("is unknown once its lease has run out, and not before", async () => {
    const dead = await leftBehind({ status: "sending", recheck_at: LONG_AGO });
    const alive = await leftBehind({ status: "sending", recheck_at: FAR_AHEAD });
    expect((await runner.run({ workspaceId: dead })).recovered).toMatchObject({ unknown: 1, reclaimed: 0, takenUp: 0 });
    expect((await runner.run({ workspaceId: alive })).recovered).toMatchObject({ unknown: 0, reclaimed: 0 });
    expect(await touchesOf(dead)).toMatchObject([{ status: "unknown", reason: "sender_died" }]);
    expect(await touchesOf(alive)).toMatchObject([{ status: "sending" }]);
    expect(runner.channel.sent).toEqual([]);
  });

  it("is sent again on an idempotent channel", async () => {
    const workspaceId = await leftBehind({ status: "sending", recheck_at: LONG_AGO, channel: "task" });
    expect((await runner.run({ workspaceId })).recovered).toMatchObject({
      unknown: 0,
      reclaimed: 1,
      delivery: { sent: 1 },
    });
  });
});

describe("a task", () => {
  it("is created once, however often its touch is sent", async () => {
    const workspaceId = await addWorkspace(pool);
    const steps = [{ channel: "task", subject: null, body: "Call {{ lead.first_name }}\nby noon" }];
    const sequence = await addSequence(pool, workspaceId, { steps });
    await addFollowedLead(pool, workspaceId, sequence.id);
    const channels = {
      ...runner.ports.channels,
      task: taskChannel((task) => createTask(runner.ports.database.prisma, task)),
    };
    await runner.run({ workspaceId }, { channels });
    await pool.query(
      "update touch set status = 'sending', sent_at = null, recheck_at = $2, claimed_at = $2 where workspace_id = $1",
      [workspaceId, LONG_AGO],
    );
    await runner.run({ workspaceId }, { channels });
    const { rows } = await pool.query("select title, notes, done_at from task where workspace_id = $1", [workspaceId]);
    expect(rows).toEqual([{ title: "Call Ada", notes: "Call Ada\nby noon", done_at: null }]);
  });
});

describe("a run that must stop", () => {
  it("starts no further call in its current group, and leaves the rest claimed for the next run", async () => {
    const workspaceId = await addWorkspace(pool);
    const sequence = await addSequence(pool, workspaceId);
    for (let lead = 0; lead < 5; lead++) await addFollowedLead(pool, workspaceId, sequence.id);
    let remaining = 60_000;
    runner.channel.answer = (touch) => {
      if (runner.channel.sentTo(workspaceId).length === 2) remaining = 0;
      return accept(touch);
    };
    const settings = { sendsAtOnce: 1 };
    const { results } = await runner.run({ workspaceId }, { remainingMs: () => remaining, settings });
    expect(results).toMatchObject({ claimed: 5, delivery: { sent: 2, retrying: 3 } });
    const touches = await touchesOf(workspaceId);
    expect(touches.filter(({ status }) => status === "claimed")).toHaveLength(3);
    expect(touches.filter(({ reason }) => reason === "run_stopped")).toHaveLength(3);
  });
});
