import { describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { type ApprovalAnswer, approveTouch, rejectTouch } from "../../lib/store/approvals.ts";
import { onPool, type Transactional } from "../../lib/store/sql.ts";
import {
  addAppointment,
  addFollowedLead,
  addSequence,
  addWorkspace,
  type Columns,
  type Sql,
} from "../support/factories.ts";
import { clockAt, useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";

const { sql, runner } = await useRunner({ empty: true });
const db = onPool(sql);

/** A Monday. */
const SHOWN = "2030-01-07T10:00:00Z";
const DECIDED = "2030-01-07T11:00:00Z";
const NEXT_DAY = "2030-01-08T11:00:00Z";

const runAt = (instant: string) => runner.run({}, clockAt(instant));

interface Shown {
  readonly workspaceId: string;
  readonly leadId: string;
  readonly instanceId: string;
  readonly touchId: string;
  readonly fingerprint: string;
  readonly stepIds: readonly string[];
}

/** A lead whose first step waits for approval after a run. The second step, a day later, needs none. */
async function aWaitingTouch({ step = {}, workspace = {}, steps = [{}] as Columns[] } = {}): Promise<Shown> {
  const workspaceId = await addWorkspace(sql, workspace);
  const chase = await addSequence(sql, workspaceId, { steps: [{ needs_approval: true, ...step }, ...steps] });
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, {
    instance: { next_step_due: SHOWN },
  });
  expect((await runAt(SHOWN)).results).toMatchObject({ awaitingApproval: 1 });
  const { rows } = await sql.query<{ id: string; fingerprint: string }>(
    "select id, fingerprint from touch where instance_id = $1",
    [instanceId],
  );
  const [touch] = rows;
  if (!touch) throw new Error("no touch was laid aside");
  return { workspaceId, leadId, instanceId, touchId: touch.id, fingerprint: touch.fingerprint, stepIds: chase.steps };
}

const decided = ({ workspaceId, touchId }: Shown) => ({ workspaceId, touchId, by: "Hana", at: new Date(DECIDED) });

const approve = (shown: Shown, changes: Partial<Shown> & { at?: Date } = {}): Promise<ApprovalAnswer> =>
  db.transaction((transaction) =>
    approveTouch(transaction, { ...decided(shown), fingerprint: shown.fingerprint, ...changes }),
  );

const reject = (shown: Shown, changes: { workspaceId?: string } = {}): Promise<ApprovalAnswer> =>
  db.transaction((transaction) => rejectTouch(transaction, { ...decided(shown), reason: "too pushy", ...changes }));

async function row(from: Sql, table: "touch" | "follow_up_instance", id: string): Promise<pg.QueryResultRow> {
  const { rows } = await from.query(`select * from ${table} where id = $1`, [id]);
  return rows[0] ?? {};
}
const touchOf = ({ touchId }: Shown) => row(sql, "touch", touchId);
const instanceOf = ({ instanceId }: Shown) => row(sql, "follow_up_instance", instanceId);

const book = (from: Sql, leadId: string) =>
  from.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);

describe("an approved touch", () => {
  it("goes out once with the next run, exactly as shown, and the sequence continues after its delay", async () => {
    const shown = await aWaitingTouch();
    expect(await approve(shown)).toEqual({ outcome: "approved" });
    expect(await touchOf(shown)).toMatchObject({
      status: "claimed",
      decided_by: "Hana",
      decided_at: new Date(DECIDED),
      fingerprint: shown.fingerprint,
    });
    expect(await instanceOf(shown)).toMatchObject({ status: "active", position: 2, next_step_due: new Date(NEXT_DAY) });
    expect((await runAt(DECIDED)).recovered).toMatchObject({ takenUp: 1, delivery: { sent: 1 } });
    expect(runner.channel.sent).toMatchObject([
      { id: shown.touchId, message: { subject: "For Ada", body: "Hello Ada, shall we talk?" } },
    ]);
    await runAt(DECIDED);
    expect(runner.channel.sent).toHaveLength(1);
    await runAt(NEXT_DAY);
    expect(runner.channel.sent).toHaveLength(2);
  });

  it("is not sent without an approval", async () => {
    const shown = await aWaitingTouch();
    await runAt(NEXT_DAY);
    expect(runner.channel.sent).toEqual([]);
    expect(await touchOf(shown)).toMatchObject({ status: "awaiting_approval", decided_at: null });
    expect(await instanceOf(shown)).toMatchObject({ status: "paused", paused_reason: "awaiting_approval" });
  });

  it("completes the instance if no step is left, and still goes out", async () => {
    const shown = await aWaitingTouch({ steps: [] });
    await approve(shown);
    expect(await instanceOf(shown)).toMatchObject({ status: "completed", completed_reason: "out_of_steps" });
    await runAt(DECIDED);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("waits for the send window, the gap and the lead's day on the channel", async () => {
    const window = { window_start: "09:00", window_end: "17:00", gap_minutes: 60 };
    const shown = await aWaitingTouch({ workspace: window });
    const evening = "2030-01-07T18:00:00Z";
    await approve(shown, { at: new Date(evening) });
    await runAt(evening);
    expect(runner.channel.sent).toEqual([]);
    const opens = "2030-01-08T09:00:00Z";
    await sql.query("update lead set last_outbound_at = $2 where id = $1", [shown.leadId, "2030-01-08T08:30:00Z"]);
    await runAt(opens);
    expect(runner.channel.sent).toEqual([]);
    await runAt("2030-01-08T09:30:00Z");
    expect(runner.channel.sent).toHaveLength(1);
  });

  it.each([
    ["a booking", "status = 'meeting-booked'", "meeting_booked"],
    ["an opt-out", "opted_out_at = now()", "opted_out"],
    ["a reply", `last_inbound_at = '${DECIDED}'`, "lead_replied"],
  ])("is cancelled by %s before it is sent", async (_, change, reason) => {
    const shown = await aWaitingTouch();
    await approve(shown);
    await sql.query(`update lead set ${change} where id = $1`, [shown.leadId]);
    await runAt(DECIDED);
    expect(runner.channel.sent).toEqual([]);
    expect(await touchOf(shown)).toMatchObject({ status: "cancelled", reason });
  });

  it("is cancelled by a booking even if its instance was already complete", async () => {
    const shown = await aWaitingTouch({ steps: [] });
    await approve(shown);
    await book(sql, shown.leadId);
    await runAt(DECIDED);
    expect(runner.channel.sent).toEqual([]);
    expect(await touchOf(shown)).toMatchObject({ status: "cancelled", reason: "meeting_booked" });
  });
});

describe("a touch that waits", () => {
  it("is cancelled by a booking, and cannot be approved then", async () => {
    const shown = await aWaitingTouch();
    await book(sql, shown.leadId);
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "meeting_booked" });
    expect((await runAt(DECIDED)).backstop).toMatchObject({ completedCount: 1, cancelledTouches: 1 });
    expect(await touchOf(shown)).toMatchObject({ status: "cancelled", reason: "meeting_booked" });
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "cancelled" });
    expect(await instanceOf(shown)).toMatchObject({ status: "completed", completed_reason: "meeting_booked" });
  });

  it("expires with its time to live and not earlier, and the sequence continues", async () => {
    const shown = await aWaitingTouch({ step: { time_to_live_minutes: 60 } });
    const justBefore = "2030-01-07T10:59:59Z";
    expect((await runAt(justBefore)).recovered).toMatchObject({ expired: 0 });
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "expired" });
    expect((await runAt(DECIDED)).recovered).toMatchObject({ expired: 1 });
    expect(await touchOf(shown)).toMatchObject({ status: "expired", reason: "nobody_decided" });
    expect(await instanceOf(shown)).toMatchObject({ status: "active", position: 2, next_step_due: new Date(NEXT_DAY) });
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "expired" });
    await runAt(NEXT_DAY);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("expires even if its lead is unreadable, and leaves the instance for repair", async () => {
    const shown = await aWaitingTouch({ step: { time_to_live_minutes: 60 } });
    await sql.query("update lead set snoozed_until = 'infinity' where id = $1", [shown.leadId]);
    expect(await approve(shown, { at: new Date(SHOWN) })).toEqual({ outcome: "refused", reason: "unreadable_row" });
    expect(await runAt(DECIDED)).toMatchObject({ success: true, recovered: { expired: 1 } });
    expect(await instanceOf(shown)).toMatchObject({ status: "active", position: 2 });
  });

  it.each([
    ["the template", "update follow_up_step set body = 'Hello again, {{ lead.first_name }}'"],
    ["the lead's data", "update lead set first_name = 'Grace'"],
    ["the workspace's name", "update workspace set name = 'Other Homes'"],
  ])("is not approved once %s has changed its text, but as it is now", async (_, change) => {
    const shown = await aWaitingTouch({ step: { body: "Hello {{ lead.first_name }}, {{ workspace.name }} here" } });
    await sql.query(change);
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "text_changed" });
    const { status, body, fingerprint } = await touchOf(shown);
    expect(status).toBe("awaiting_approval");
    expect(await instanceOf(shown)).toMatchObject({ status: "paused", position: 1 });
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "text_changed" });
    expect(await approve(shown, { fingerprint })).toEqual({ outcome: "approved" });
    await runAt(DECIDED);
    expect(runner.channel.sent).toMatchObject([{ message: { body } }]);
  });

  it("cannot be approved once the template needs a value that the lead lacks", async () => {
    const shown = await aWaitingTouch();
    await sql.query("update lead set first_name = null");
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "missing_data" });
  });

  it("is not approved once its step has another channel", async () => {
    const shown = await aWaitingTouch();
    await sql.query("update follow_up_step set channel = 'task'");
    expect(await approve(shown)).toEqual({ outcome: "refused", reason: "step_changed" });
    expect(await reject(shown)).toEqual({ outcome: "rejected" });
  });

  it("cannot be decided from another workspace", async () => {
    const shown = await aWaitingTouch();
    const stranger = { workspaceId: await addWorkspace(sql) };
    expect(await approve(shown, stranger)).toEqual({ outcome: "refused", reason: "not_found" });
    expect(await reject(shown, stranger)).toEqual({ outcome: "refused", reason: "not_found" });
    expect(await touchOf(shown)).toMatchObject({ status: "awaiting_approval" });
  });

  it("carries the fingerprint of its text, whichever statement writes it", async () => {
    const { touchId } = await aWaitingTouch();
    await expect(sql.query("update touch set body = 'Buy now' where id = $1", [touchId])).rejects.toThrow(
      /waiting_has_its_fingerprint/,
    );
    await expect(sql.query("update touch set fingerprint = null where id = $1", [touchId])).rejects.toThrow(
      /waiting_has_its_fingerprint/,
    );
  });
});

describe("a rejected touch", () => {
  it("is never sent, stores who rejected it and why, and the sequence continues after its delay", async () => {
    const shown = await aWaitingTouch();
    expect(await reject(shown)).toEqual({ outcome: "rejected" });
    expect(await touchOf(shown)).toMatchObject({ status: "rejected", reason: "too pushy", decided_by: "Hana" });
    expect(await instanceOf(shown)).toMatchObject({ status: "active", position: 2, next_step_due: new Date(NEXT_DAY) });
    await runAt(DECIDED);
    expect(runner.channel.sent).toEqual([]);
    await runAt(NEXT_DAY);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("cannot be approved after that, nor one that was approved rejected, nor either twice", async () => {
    const rejected = await aWaitingTouch();
    const approved = await aWaitingTouch();
    await reject(rejected);
    await approve(approved);
    const refused = { outcome: "refused", reason: "already_decided" };
    for (const shown of [rejected, approved]) {
      expect([await approve(shown), await reject(shown)]).toEqual([refused, refused]);
    }
    expect(await touchOf(rejected)).toMatchObject({ status: "rejected" });
    expect(await touchOf(approved)).toMatchObject({ status: "claimed" });
  });
});

describe("at once", () => {
  /** Makes the decision on its own connection and leaves the transaction open. */
  async function onOpenTransaction(work: (transaction: Transactional) => Promise<ApprovalAnswer>) {
    const open = await openTransaction(sql);
    const answer = await work(onPool(open as unknown as pg.Pool));
    return { open, answer };
  }

  it("the first of two concurrent decisions wins, and the other gets a conflict", async () => {
    const shown = await aWaitingTouch();
    const approval = { ...decided(shown), fingerprint: shown.fingerprint };
    const { open, answer } = await onOpenTransaction((first) => approveTouch(first, approval));
    const others = reject(shown);
    await untilBlockedBy(sql, open.pid);
    await open.commit();
    expect(answer).toEqual({ outcome: "approved" });
    expect(await others).toEqual({ outcome: "refused", reason: "already_decided" });
    expect(await instanceOf(shown)).toMatchObject({ position: 2 });
  });

  it("of many approvals from many connections one wins", async () => {
    const shown = await aWaitingTouch();
    const answers = await Promise.all(Array.from({ length: 8 }, () => approve(shown)));
    expect(answers.map(({ outcome }) => outcome).sort()).toEqual(["approved", ...Array(7).fill("refused")]);
    await runAt(DECIDED);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("an approval that waits for a booking sees it", async () => {
    const shown = await aWaitingTouch();
    const booking = await openTransaction(sql);
    await addAppointment(booking, shown.leadId);
    const approval = approve(shown);
    await untilBlockedBy(sql, booking.pid);
    await booking.commit();
    expect(await approval).toEqual({ outcome: "refused", reason: "meeting_booked" });
  });

  it("a booking that waits for an approval cancels what was approved", async () => {
    const shown = await aWaitingTouch();
    const approval = { ...decided(shown), fingerprint: shown.fingerprint };
    const { open } = await onOpenTransaction((first) => approveTouch(first, approval));
    const booking = book(sql, shown.leadId);
    await untilBlockedBy(sql, open.pid);
    await open.commit();
    await booking;
    await runAt(DECIDED);
    expect(runner.channel.sent).toEqual([]);
    expect(await touchOf(shown)).toMatchObject({ status: "cancelled", reason: "meeting_booked" });
    expect(await instanceOf(shown)).toMatchObject({ status: "completed", completed_reason: "meeting_booked" });
  });

  it("a run skips a touch that a person is deciding on, and expires it later if undecided", async () => {
    const shown = await aWaitingTouch({ step: { time_to_live_minutes: 60 } });
    const approval = { ...decided(shown), fingerprint: shown.fingerprint, at: new Date(SHOWN) };
    const { open } = await onOpenTransaction((first) => approveTouch(first, approval));
    expect(await runAt(DECIDED)).toMatchObject({ success: true, recovered: { expired: 0 } });
    await open.rollback();
    expect((await runAt(DECIDED)).recovered).toMatchObject({ expired: 1 });
  });
});
