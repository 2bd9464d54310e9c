import { beforeEach, describe, expect, it } from "@jest/globals";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import type { SendOutcome } from "../../lib/run/channel-ports.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  type Sequence,
} from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let chase: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
});

const fact = (type: string, touchId: string, detail: Columns = {}): Promise<FactOutcome> =>
  tell(onPool(sql), type, {
    workspaceId,
    touchId,
    ...(type === "touch.failed" && { reason: "rejected_by_provider" }),
    ...detail,
  });
const delivered = (touchId: string, detail: Columns = {}) => fact("touch.delivered", touchId, detail);
const failed = (touchId: string, detail: Columns = {}) => fact("touch.failed", touchId, detail);

const rows = async (query: string, ...values: unknown[]) => (await sql.query(query, values)).rows;
const one = async (query: string, ...values: unknown[]) => (await rows(query, ...values))[0];
const touchOf = (touchId: string) =>
  one(
    `select status::text, reason, sent_at, delivered_at, recheck_at, next_attempt_at, provider_id
       from touch where id = $1`,
    touchId,
  );
const digestEvents = () =>
  rows("select kind::text, touch_id from notification_event where workspace_id = $1", workspaceId);

async function aTouch(columns: Columns): Promise<string> {
  const instance = { next_step_due: FAR_AHEAD };
  const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { instance });
  return await addTouch(sql, instanceId, chase.steps[0] ?? "", columns);
}

const APPLIED = { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0 };
const STALE = { outcome: "stale", ended: 0, cancelledTouches: 0 };
const UNKNOWN_TOUCH = "01000000-0000-7000-8000-000000000000";

describe("a delivery", () => {
  const TRIED = { last_attempt_at: LONG_AGO };

  it.each<[string, Columns]>([
    ["unknown", { status: "unknown", unknown_attempt_at: LONG_AGO, ...TRIED }],
    ["claimed for a retry", { status: "claimed", ...TRIED }],
    ["failed although it arrived", { status: "failed", ...TRIED }],
    ["cancelled before a retry", { status: "cancelled", ...TRIED }],
    ["expired before a retry", { status: "expired", ...TRIED }],
  ])("settles a touch that is %s as sent, at the start of its attempt", async (_, columns) => {
    const touchId = await aTouch(columns);
    expect(await delivered(touchId)).toEqual(APPLIED);
    expect(await touchOf(touchId)).toMatchObject({
      status: "sent",
      reason: "settled_by_provider",
      sent_at: LONG_AGO,
      delivered_at: expect.any(Date),
      recheck_at: null,
      next_attempt_at: null,
    });
  });

  it.each<[string, Columns]>([
    ["claimed", { status: "claimed" }],
    ["awaiting approval", { status: "awaiting_approval" }],
    ["cancelled", { status: "cancelled" }],
    ["rejected", { status: "rejected" }],
  ])("changes nothing at a touch that is %s and was never tried", async (_, columns) => {
    const touchId = await aTouch(columns);
    const before = await touchOf(touchId);
    expect(await delivered(touchId)).toEqual(STALE);
    expect(await touchOf(touchId)).toEqual(before);
  });

  it("is stamped once on a sent touch, at its earliest time", async () => {
    const touchId = await aTouch({ status: "sent", reason: "kept" });
    for (const hours of [2, 3, 1]) await delivered(touchId, { occurredAt: hoursAgo(hours) });
    const { delivered_at, ...touch } = await touchOf(touchId);
    expect(Math.round((Date.now() - delivered_at.getTime()) / 3.6e6)).toBe(3);
    expect(touch).toMatchObject({ status: "sent", reason: "kept", sent_at: LONG_AGO });
  });

  it.each<[string, SendOutcome]>([
    ["no answer", { kind: "unknown", reason: "no_answer" }],
    ["a temporary error", { kind: "retry", reason: "busy" }],
    ["a refusal", { kind: "refused", reason: "refused" }],
  ])("while the touch is being sent is the truth, if the sender then sees %s", async (_, outcome) => {
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    runner.channel.answer = async (touch) => {
      expect(await delivered(touch.id)).toEqual(APPLIED);
      expect(await touchOf(touch.id)).toMatchObject({ status: "sending", delivered_at: expect.any(Date) });
      return outcome;
    };
    const report = await runner.run({ workspaceId });
    expect(report.errors).toEqual([]);
    await sql.query("update touch set recheck_at = now(), next_attempt_at = now() where status = 'claimed'");
    await runner.run({ workspaceId });
    expect(runner.channel.sentTo(workspaceId)).toHaveLength(1);
    expect(await rows("select status::text, reason from touch where lead_id = $1", leadId)).toEqual([
      { status: "sent", reason: null },
    ]);
  });

  it("while the touch is being sent keeps the message id that the sender then gets", async () => {
    await addFollowedLead(sql, workspaceId, chase.id);
    runner.channel.answer = async (touch) => {
      await delivered(touch.id);
      return { kind: "accepted", providerId: "id-1" };
    };
    await runner.run({ workspaceId });
    expect(await rows("select status::text, provider_id from touch where workspace_id = $1", workspaceId)).toEqual([
      { status: "sent", provider_id: "id-1" },
    ]);
  });

  it.each([
    ["email", true, "sent", 0],
    ["webhook", true, "sent", 0],
    ["email", false, "unknown", 0],
    ["webhook", false, "sent", 1],
  ])(
    "of a touch on %s whose sender died (delivered: %s) leaves it %s, and %s more are sent",
    async (channel, arrives, status, more) => {
      const touchId = await aTouch({
        channel,
        status: "sending",
        recheck_at: LONG_AGO,
        attempts: 1,
        ...TRIED,
        send_until: FAR_AHEAD,
      });
      if (arrives) await delivered(touchId);
      await runner.run({ workspaceId });
      await runner.run({ workspaceId });
      expect(await touchOf(touchId)).toMatchObject({ status });
      expect(runner.channel.sentTo(workspaceId)).toHaveLength(more);
    },
  );

  it("of an unknown touch, or one of another workspace, changes nothing and needs no attention", async () => {
    const touchId = await aTouch({ status: "unknown", ...TRIED });
    const own = workspaceId;
    workspaceId = await addWorkspace(sql);
    for (const type of ["touch.delivered", "touch.failed"]) {
      expect(await fact(type, touchId)).toEqual(STALE);
      expect(await fact(type, UNKNOWN_TOUCH)).toEqual(STALE);
    }
    expect(await touchOf(touchId)).toMatchObject({ status: "unknown", delivered_at: null });
    workspaceId = own;
    expect(await delivered(touchId)).toEqual(APPLIED);
  });
});

describe("a failure after the provider had accepted", () => {
  it.each(["sent", "sending", "unknown"])("fails a touch that is %s, once, and is in the digest", async (status) => {
    const touchId = await aTouch({ status, last_attempt_at: LONG_AGO });
    expect([await failed(touchId), await failed(touchId)]).toEqual([APPLIED, STALE]);
    expect(await touchOf(touchId)).toMatchObject({
      status: "failed",
      reason: "rejected_by_provider",
      sent_at: null,
      recheck_at: null,
    });
    expect(await digestEvents()).toEqual([{ kind: "touch_failed", touch_id: touchId }]);
  });

  it.each(["claimed", "cancelled", "awaiting_approval", "rejected", "expired", "failed"])(
    "changes nothing at a touch that is %s",
    async (status) => {
      const touchId = await aTouch({ status });
      const before = await touchOf(touchId);
      expect(await failed(touchId)).toEqual(STALE);
      expect(await touchOf(touchId)).toEqual(before);
      expect(await digestEvents()).toEqual([]);
    },
  );

  it("counts if the sender then reports success, and may be sent again by a person", async () => {
    await addFollowedLead(sql, workspaceId, chase.id);
    runner.channel.answer = async (touch) => {
      await failed(touch.id);
      return { kind: "accepted", providerId: "id-1" };
    };
    await runner.run({ workspaceId });
    expect(await rows("select status::text, reason from touch where workspace_id = $1", workspaceId)).toEqual([
      { status: "failed", reason: "rejected_by_provider" },
    ]);
  });

  it("changes nothing at a touch that arrived, and a delivery corrects it", async () => {
    const touchId = await aTouch({ status: "sent", last_attempt_at: LONG_AGO });
    await failed(touchId);
    await delivered(touchId);
    expect(await failed(touchId)).toEqual(STALE);
    expect(await touchOf(touchId)).toMatchObject({ status: "sent", sent_at: LONG_AGO });
  });
});
