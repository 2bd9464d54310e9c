import { describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { approveTouch } from "../../lib/store/approvals.ts";
import { reopenInstance } from "../../lib/store/reopen.ts";
import { onPool, type Transactional } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addInstance,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  everyRow,
} from "../support/factories.ts";
import { clockAt, useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";

const { sql, runner } = await useRunner({ empty: true });
const db = onPool(sql);

/** A week from Monday, a day apart like the steps. */
const DAYS = ["07", "08", "09", "10", "11", "12", "13"].map((day) => `2030-01-${day}T10:00:00Z`);
const [MONDAY = "", TUESDAY = ""] = DAYS;

/** A touch that was tried once and then cancelled by a booking. */
const STOPPED = { status: "cancelled", reason: "meeting_booked", attempts: 1 };

const runAt = (at: string) => runner.run({}, clockAt(at));
const sentBodies = () => runner.channel.sent.map(({ message }) => message.body);

interface Chased {
  readonly workspaceId: string;
  readonly leadId: string;
  readonly instanceId: string;
  readonly sequenceId: string;
  readonly steps: readonly string[];
}

/** A lead in a sequence of three steps, whose bodies are their numbers. The first is due on Monday. */
async function aChasedLead(first: Columns = {}): Promise<Chased> {
  const workspaceId = await addWorkspace(sql);
  const steps = ["one", "two", "three"].map((body) => ({ body }));
  const { id, steps: stepIds } = await addSequence(sql, workspaceId, {
    steps: steps.map((step) => ({ ...step, ...first })),
  });
  const instance = { next_step_due: MONDAY, created_at: "2030-01-06T10:00:00Z" };
  const lead = await addFollowedLead(sql, workspaceId, id, { instance });
  return { workspaceId, ...lead, sequenceId: id, steps: stepIds };
}

const book = ({ leadId }: Chased) => sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
const unbook = ({ leadId }: Chased) => sql.query("update lead set status = 'qualified' where id = $1", [leadId]);

const reopen = ({ instanceId }: Chased, at = TUESDAY, on = db) =>
  reopenInstance(on, { instanceId, reason: "the calendar sent a test booking", by: "Hana", at: new Date(at) });

async function instanceOf({ instanceId }: Chased): Promise<pg.QueryResultRow> {
  const { rows } = await sql.query("select * from follow_up_instance where id = $1", [instanceId]);
  return rows[0] ?? {};
}

/** A lead booked by mistake on Monday, after a run with its first step due. The booking is then undone. */
async function stoppedByMistake(first: Columns = {}): Promise<Chased> {
  const chased = await aChasedLead(first);
  await runAt(MONDAY);
  await book(chased);
  await runAt(MONDAY);
  await unbook(chased);
  expect(await instanceOf(chased)).toMatchObject({ status: "completed", completed_reason: "meeting_booked" });
  return chased;
}

async function runThroughTheWeek(): Promise<void> {
  for (const day of DAYS) await runAt(day);
}

/** A lead whose first step has this touch, and whose instance a booking completed. */
async function stoppedAfter(touch: Columns): Promise<Chased> {
  const chased = await aChasedLead();
  await addTouch(sql, chased.instanceId, chased.steps[0] ?? "", touch);
  const completed = "status = 'completed', completed_at = now(), completed_reason = 'meeting_booked'";
  await sql.query(`update follow_up_instance set position = 2, next_step_due = null, ${completed}`);
  return chased;
}

describe("an instance that is reopened", () => {
  it("continues at its step, sends each step once, and completes", async () => {
    const chased = await stoppedByMistake();
    expect(await reopen(chased, MONDAY)).toEqual({
      outcome: "reopened",
      generation: 2,
      position: 2,
      nextStepDue: new Date(TUESDAY),
    });
    expect(await instanceOf(chased)).toMatchObject({ status: "active", completed_at: null, completed_reason: null });
    await runThroughTheWeek();
    expect(sentBodies()).toEqual(["one", "two", "three"]);
    expect(await instanceOf(chased)).toMatchObject({ status: "completed", completed_reason: "out_of_steps" });
  });

  it("negative control: stays ended without a reopening", async () => {
    await stoppedByMistake();
    await runThroughTheWeek();
    expect(sentBodies()).toEqual(["one"]);
  });

  it("records who reopened it, why, and its earlier state", async () => {
    const chased = await stoppedByMistake();
    await reopen(chased);
    const { rows } = await sql.query("select * from reopening");
    expect(rows).toMatchObject([
      {
        workspace_id: chased.workspaceId,
        lead_id: chased.leadId,
        instance_id: chased.instanceId,
        generation: 2,
        position: 2,
        ended_as: "completed",
        ended_reason: "meeting_booked",
        ended_at: new Date(MONDAY),
        reason: "the calendar sent a test booking",
        reopened_by: "Hana",
        reopened_at: new Date(TUESDAY),
      },
    ]);
  });

  it("sends the step that was cancelled while it waited for a retry", async () => {
    runner.channel.answer = () => ({ kind: "retry", reason: "provider_is_busy" });
    const chased = await stoppedByMistake();
    runner.channel.reset();
    expect(await reopen(chased)).toMatchObject({ outcome: "reopened", position: 1 });
    await runThroughTheWeek();
    expect(sentBodies()).toEqual(["one", "two", "three"]);
  });

  it("shows a step again that waited for approval", async () => {
    const chased = await stoppedByMistake({ needs_approval: true });
    expect(await reopen(chased)).toMatchObject({ outcome: "reopened", position: 1 });
    await runAt(TUESDAY);
    const { rows } = await sql.query("select id, status, generation, fingerprint from touch order by generation");
    expect(rows).toMatchObject([
      { status: "cancelled", generation: 1 },
      { status: "awaiting_approval", generation: 2 },
    ]);
    const of = (touch: { id: string; fingerprint: string }) => ({
      workspaceId: chased.workspaceId,
      touchId: touch.id,
      fingerprint: touch.fingerprint,
      by: "Hana",
      at: new Date(TUESDAY),
    });
    const answers = [];
    for (const touch of rows) answers.push(await db.transaction((transaction) => approveTouch(transaction, of(touch))));
    expect(answers.map(({ outcome }) => outcome)).toEqual(["refused", "approved"]);
    await runAt(TUESDAY);
    expect(sentBodies()).toEqual(["one"]);
  });

  it.each([
    ["with an unknown outcome", { status: "unknown", attempts: 1 }],
    ["that may have arrived, though it was to be tried again", { ...STOPPED, channel: "webhook", failures: 1 }],
    ["that may have arrived before its sender died", { ...STOPPED, channel: "task" }],
    ["that a person rejected", { status: "rejected" }],
    ["that was too old", { status: "expired" }],
    ["that was refused", { status: "failed", attempts: 1, failures: 1 }],
    ["that the lead's reply cancelled", { status: "cancelled", reason: "lead_replied" }],
  ])("does not send a step again %s", async (_, touch) => {
    const chased = await stoppedAfter(touch);
    expect(await reopen(chased)).toMatchObject({ outcome: "reopened", position: 2 });
    await runThroughTheWeek();
    expect(sentBodies()).toEqual(["two", "three"]);
  });

  it.each([
    ["failed for now", { ...STOPPED, failures: 1 }],
    ["were put off by the provider", STOPPED],
    ["never started", { ...STOPPED, attempts: 0, channel: "webhook" }],
  ])("sends a step with attempts that %s", async (_, touch) => {
    const chased = await stoppedAfter(touch);
    expect(await reopen(chased)).toMatchObject({ outcome: "reopened", position: 1 });
    await runThroughTheWeek();
    expect(sentBodies()).toEqual(["one", "two", "three"]);
  });

  it("continues with the touches that were unsent when a person cancelled it", async () => {
    const chased = await aChasedLead();
    await addTouch(sql, chased.instanceId, chased.steps[0] ?? "", { next_attempt_at: MONDAY, recheck_at: MONDAY });
    await sql.query("update follow_up_instance set position = 2, status = 'cancelled', next_step_due = null");
    expect(await reopen(chased)).toMatchObject({ outcome: "reopened", position: 1 });
    await runThroughTheWeek();
    expect(sentBodies()).toEqual(["one", "two", "three"]);
  });

  it("does not return to a step that an earlier stop cancelled and that was skipped since", async () => {
    const chased = await stoppedAfter({ ...STOPPED, attempts: 0 });
    expect(await reopen(chased)).toMatchObject({ position: 1 });
    await sql.query("update follow_up_step set condition = 'linkedin_connected' where position = 1");
    await runAt(TUESDAY);
    await book(chased);
    await runAt(TUESDAY);
    await unbook(chased);
    expect(await reopen(chased)).toMatchObject({ outcome: "reopened", position: 2, generation: 3 });
  });

  it("keeps the delay after a touch sent before an earlier reopening", async () => {
    const chased = await stoppedByMistake();
    await reopen(chased, MONDAY);
    await book(chased);
    await runAt(MONDAY);
    await unbook(chased);
    expect(await reopen(chased, MONDAY)).toMatchObject({ position: 2, nextStepDue: new Date(TUESDAY), generation: 3 });
  });

  it("sends nothing again, however often it is stopped and reopened", async () => {
    const chased = await aChasedLead();
    for (const day of DAYS) {
      await runAt(day);
      await book(chased);
      await runAt(day);
      await unbook(chased);
      await reopen(chased, day);
    }
    expect(sentBodies()).toEqual(["one", "two", "three"]);
    expect((await instanceOf(chased))["generation"]).toBe(3);
  });

  it("is the backstop's again when the lead books", async () => {
    const chased = await stoppedByMistake();
    await reopen(chased);
    await book(chased);
    expect((await runAt(TUESDAY)).backstop).toMatchObject({ completedCount: 1 });
    expect(sentBodies()).toEqual(["one"]);
  });
});

describe("it is refused, and nothing changes,", () => {
  it.each([
    ["while the lead is booked", "update lead set status = 'meeting-booked'", "meeting_booked"],
    ["once the lead has opted out", "update lead set opted_out_at = now()", "opted_out"],
    ["of a lead that is blacklisted", "update lead set status = 'blacklisted'", "blacklisted"],
    ["of a lead that is not interested", "update lead set status = 'not-interested'", "not_interested"],
    ["where no step is left", "delete from follow_up_step where position > 1", "out_of_steps"],
  ])("%s", async (_, change, reason) => {
    const chased = await stoppedByMistake();
    await sql.query(change);
    const before = await everyRow(sql);
    expect(await reopen(chased)).toEqual({ outcome: "refused", reason });
    expect(await everyRow(sql)).toEqual(before);
  });

  it("the second time, and of an instance that never ended", async () => {
    const chased = await stoppedByMistake();
    await reopen(chased);
    const live = { outcome: "refused", reason: "is_live" };
    expect(await reopen(chased)).toEqual(live);
    await sql.query("update follow_up_instance set status = 'paused', paused_reason = 'manual', next_step_due = null");
    expect(await reopen(chased)).toEqual(live);
    expect((await instanceOf(chased))["generation"]).toBe(2);
  });

  it("while the lead is in that sequence by another instance", async () => {
    const chased = await stoppedByMistake();
    await addInstance(sql, chased.leadId, chased.sequenceId);
    const before = await everyRow(sql);
    expect(await reopen(chased)).toEqual({ outcome: "refused", reason: "another_is_live" });
    expect(await everyRow(sql)).toEqual(before);
  });

  it("if the instance does not exist", async () => {
    const { workspaceId } = await stoppedByMistake();
    const none = { instanceId: workspaceId } as Chased;
    expect(await reopen(none)).toEqual({ outcome: "refused", reason: "not_found" });
  });
});

describe("at once", () => {
  it("of two reopenings one is carried out", async () => {
    const chased = await stoppedByMistake();
    const answers = await Promise.all([reopen(chased), reopen(chased)]);
    expect(answers.map(({ outcome }) => outcome).sort()).toEqual(["refused", "reopened"]);
    expect((await instanceOf(chased))["generation"]).toBe(2);
  });

  it("a reopening that waits for a booking sees it", async () => {
    const chased = await stoppedByMistake();
    const booking = await openTransaction(sql);
    await booking.query("update lead set status = 'meeting-booked' where id = $1", [chased.leadId]);
    const reopening = reopen(chased);
    await untilBlockedBy(sql, booking.pid);
    await booking.commit();
    expect(await reopening).toEqual({ outcome: "refused", reason: "meeting_booked" });
    expect(await instanceOf(chased)).toMatchObject({ status: "completed" });
  });

  it("a booking that waits for a reopening ends the reopened instance before anything is sent", async () => {
    const chased = await stoppedByMistake();
    const open = await openTransaction(sql);
    const within = onPool(open as unknown as pg.Pool);
    const inside: Transactional = { ...within, transaction: (work) => work(within) };
    expect(await reopen(chased, TUESDAY, inside)).toMatchObject({ outcome: "reopened" });
    const booking = book(chased);
    await untilBlockedBy(sql, open.pid);
    await open.commit();
    await booking;
    expect((await runAt(TUESDAY)).backstop).toMatchObject({ completedCount: 1 });
    expect(sentBodies()).toEqual(["one"]);
  });

  it("a reopening that waits for an enrolment in that sequence is refused", async () => {
    const chased = await stoppedByMistake();
    const enrolment = await openTransaction(sql);
    await addInstance(enrolment, chased.leadId, chased.sequenceId);
    const reopening = reopen(chased);
    await untilBlockedBy(sql, enrolment.pid);
    await enrolment.commit();
    expect(await reopening).toEqual({ outcome: "refused", reason: "another_is_live" });
  });
});

it("a reopening of another workspace's instance cannot be written down", async () => {
  const chased = await stoppedByMistake();
  await reopen(chased);
  const stranger = await addWorkspace(sql);
  await expect(sql.query("update reopening set workspace_id = $1", [stranger])).rejects.toThrow(
    /reopening_workspace_id/,
  );
});
