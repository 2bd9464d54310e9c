import { beforeEach, describe, expect, it } from "@jest/globals";
import { onPool } from "../../lib/store/sql.ts";
import { createTask } from "../../lib/store/touches.ts";
import {
  addFollowedLead,
  addInstance,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  type Sequence,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;
let leadId: string;
let instanceId: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { steps: [{ channel: "task" }, { channel: "webhook" }, {}] });
  const instance = { position: 3, next_step_due: FAR_AHEAD };
  ({ leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { instance }));
});

const rowOf = async (table: string, id: string) =>
  (await sql.query<Columns>(`select * from ${table} where id = $1`, [id])).rows[0];
const fact = (type: string, detail: Columns = {}) =>
  tell(onPool(runner.ports.database.pool), type, {
    workspaceId,
    eventId: `${type} ${leadId}`,
    occurredAt: hoursAgo(0),
    lead: { id: leadId },
    ...detail,
  });
const run = () => runner.run({ workspaceId });
const set = async (assignment: string) => sql.query(`update lead set ${assignment} where id = $1`, [leadId]);

/** Ways to stop a chasing sequence, each with its own statement. */
const STOPS: Readonly<Record<string, () => Promise<unknown>>> = {
  "a booking by an event": () => fact("meeting.booked", { meeting: aMeeting(leadId) }),
  "a booking that is typed": () => set("status = 'meeting-booked'").then(run),
  "an opt-out": () => fact("lead.opted_out"),
  "a status that bars contact": () => set("status = 'unqualified'").then(run),
  "a new start": async () => {
    await set(`external_id = '${leadId}'`);
    const leads = [{ externalId: leadId }];
    return fact("lead.enrolled", { lead: undefined, sequence: { id: chase.id }, leads, restart: true });
  },
};

const NEVER_TRIED = { channel: "webhook", next_attempt_at: FAR_AHEAD, recheck_at: FAR_AHEAD };

/** Adds a touch that the provider accepted before the process died without settling it. */
async function addDelivered(): Promise<string> {
  const sending = {
    channel: "webhook",
    status: "sending",
    attempts: 1,
    last_attempt_at: LONG_AGO,
    recheck_at: LONG_AGO,
  };
  const id = await addTouch(sql, instanceId, chase.steps[1] ?? "", sending);
  await runner.ports.store.expireLeases({ now: new Date(), limit: 10, workspaceId });
  expect(await rowOf("touch", id)).toMatchObject({ status: "claimed", unknown_attempt_at: LONG_AGO });
  return id;
}

async function toldOf(touchId: string): Promise<readonly unknown[]> {
  const { rows } = await sql.query("select kind from notification_event where touch_id = $1", [touchId]);
  return rows;
}

describe("a touch that may have arrived before its sender died", () => {
  it.each(Object.keys(STOPS))("is unknown and not cancelled after %s, and a person is notified", async (name) => {
    const id = await addDelivered();
    await STOPS[name]?.();
    expect(await rowOf("touch", id)).toMatchObject({ status: "unknown", next_attempt_at: null, recheck_at: null });
    expect(await toldOf(id)).toEqual([{ kind: "touch_unknown" }]);
    expect(runner.channel.sentTo(workspaceId)).toEqual([]);
  });

  it.each(Object.keys(STOPS))("is cancelled after %s if it was never tried", async (name) => {
    const id = await addTouch(sql, instanceId, chase.steps[1] ?? "", NEVER_TRIED);
    await STOPS[name]?.();
    expect(await rowOf("touch", id)).toMatchObject({ status: "cancelled", unknown_attempt_at: null });
    expect(await toldOf(id)).toEqual([]);
  });

  it.each<[string, Columns, Columns, string]>([
    ["automation is off", { automation_enabled: false }, {}, "cancelled"],
    ["its time to live is over", {}, { expires_at: LONG_AGO }, "expired"],
  ])("is unknown if it is checked before a retry and %s", async (_, lead, touch, otherwise) => {
    const id = await addDelivered();
    const other = await addTouch(sql, instanceId, chase.steps[0] ?? "", {
      channel: "webhook",
      next_attempt_at: LONG_AGO,
      recheck_at: LONG_AGO,
      send_until: FAR_AHEAD,
    });
    for (const [column, value] of Object.entries(lead)) {
      await sql.query(`update lead set ${column} = $2 where id = $1`, [leadId, value]);
    }
    for (const [column, value] of Object.entries(touch)) {
      await sql.query(`update touch set ${column} = $2 where id = any($1)`, [[id, other], value]);
    }
    await sql.query("update touch set send_until = $2 where id = $1", [id, FAR_AHEAD]);
    const report = await run();
    expect(report).toMatchObject({ success: true, recovered: { delivery: { unknown: 1, [otherwise]: 1, sent: 0 } } });
    expect(await rowOf("touch", id)).toMatchObject({ status: "unknown" });
    expect(await rowOf("touch", other)).toMatchObject({ status: otherwise });
    expect(await toldOf(id)).toEqual([{ kind: "touch_unknown" }]);
  });

  it("is sent again with the same key while its sequence continues", async () => {
    const id = await addDelivered();
    await sql.query("update touch set send_until = $2 where id = $1", [id, FAR_AHEAD]);
    await run();
    expect(await rowOf("touch", id)).toMatchObject({ status: "sent", attempts: 2 });
  });
});

async function addTask(ofInstance: string, step: string, columns: Columns = {}): Promise<string> {
  const touchId = await addTouch(sql, ofInstance, step, { channel: "task", status: "sent" });
  const { rows } = await sql.query<{ id: string }>(
    `insert into task (workspace_id, touch_id, lead_id, title, notes, done_at)
     select workspace_id, id, lead_id, 'Call', '', $2 from touch where id = $1 returning id`,
    [touchId, columns["done_at"] ?? null],
  );
  return String(rows[0]?.id);
}

describe("an open task", () => {
  it.each(Object.keys(STOPS))("of a stopped instance is cancelled by %s", async (name) => {
    const id = await addTask(instanceId, chase.steps[0] ?? "");
    expect(await rowOf("task", id)).toMatchObject({ done_at: null, cancelled_at: null });
    await STOPS[name]?.();
    expect(await rowOf("task", id)).toMatchObject({ done_at: null, cancelled_at: expect.any(Date) });
  });

  it("stays while nothing stops its instance, and a task that is done stays done", async () => {
    const open = await addTask(instanceId, chase.steps[0] ?? "");
    await fact("lead.replied");
    await run();
    expect(await rowOf("task", open)).toMatchObject({ cancelled_at: null });
    await sql.query("update task set done_at = $2 where id = $1", [open, LONG_AGO]);
    await fact("meeting.booked", { meeting: aMeeting(leadId) });
    expect(await rowOf("task", open)).toMatchObject({ done_at: LONG_AGO, cancelled_at: null });
  });

  it("of a sequence that had ended before is cancelled by a booking too", async () => {
    const id = await addTask(instanceId, chase.steps[0] ?? "");
    await sql.query(
      `update follow_up_instance set status = 'completed', completed_at = now(), completed_reason = 'out_of_steps',
              next_step_due = null where id = $1`,
      [instanceId],
    );
    await fact("meeting.booked", { meeting: aMeeting(leadId) });
    expect(await rowOf("task", id)).toMatchObject({ cancelled_at: expect.any(Date) });
  });

  it("of a post-booking sequence stays after the booking, until the meeting is cancelled", async () => {
    const prepare = await addSequence(sql, workspaceId, {
      trigger_on: "meeting_selected",
      steps: [{ channel: "task" }],
    });
    const meeting = aMeeting(leadId);
    await fact("meeting.booked", { meeting });
    const { rows } = await sql.query<{ id: string }>("select id from follow_up_instance where sequence_id = $1", [
      prepare.id,
    ]);
    const id = await addTask(String(rows[0]?.id), prepare.steps[0] ?? "");
    await runner.run({ only: ["backstop"], workspaceId });
    expect(await rowOf("task", id)).toMatchObject({ cancelled_at: null });
    await fact("meeting.cancelled", { meeting, occurredAt: new Date(Date.now() + 1_000).toISOString() });
    expect(await rowOf("task", id)).toMatchObject({ cancelled_at: expect.any(Date) });
  });

  it("does not block a booking while a person changes it", async () => {
    const id = await addTask(instanceId, chase.steps[0] ?? "");
    const person = await openTransaction(sql);
    await person.query("update task set done_at = now() where id = $1", [id]);
    expect(await fact("meeting.booked", { meeting: aMeeting(leadId) })).toMatchObject({ ended: 1 });
    await person.commit();
    expect(await rowOf("task", id)).toMatchObject({ done_at: expect.any(Date), cancelled_at: null });
  });
});

describe("a task whose touch started before the stop", () => {
  const started = async () => {
    const sending = { channel: "task", status: "sending", attempts: 1 };
    const touchId = await addTouch(sql, instanceId, chase.steps[0] ?? "", sending);
    return { touchId, workspaceId, leadId, title: "Call", notes: "" };
  };
  const taskOf = async (touchId: string) =>
    (await sql.query<Columns>("select cancelled_at from task where touch_id = $1", [touchId])).rows[0];

  it("is cancelled from the start", async () => {
    const task = await started();
    await fact("meeting.booked", { meeting: aMeeting(leadId) });
    await createTask(runner.ports.database.prisma, task);
    expect(await taskOf(task.touchId)).toEqual({ cancelled_at: expect.any(Date) });
  });

  it("waits for a stop that is not committed, and is cancelled with it", async () => {
    const task = await started();
    const stop = await openTransaction(sql);
    await stop.query(
      `update follow_up_instance set status = 'completed', completed_at = now(), completed_reason = 'opted_out',
              next_step_due = null where id = $1`,
      [instanceId],
    );
    const created = createTask(runner.ports.database.prisma, task);
    await untilBlockedBy(sql, stop.pid);
    await stop.commit();
    await created;
    expect(await taskOf(task.touchId)).toEqual({ cancelled_at: expect.any(Date) });
  });

  it("is open if nothing was stopped", async () => {
    const task = await started();
    await createTask(runner.ports.database.prisma, task);
    expect(await taskOf(task.touchId)).toEqual({ cancelled_at: null });
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    expect(await addInstance(sql, leadId, prepare.id)).toBeDefined();
  });
});
