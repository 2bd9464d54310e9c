import { beforeEach, describe, expect, it } from "@jest/globals";
import { completeFollowUpsForMeetingBookedLeads } from "../../lib/store/backstop.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addAppointment,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  rowsOf,
  type Sequence,
  type Sql,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;
let prepare: Sequence;
let leadId: string;
/** The lead's post-booking instance, with one claimed touch. */
let instanceId: string;

/** A lead with a future meeting, in a post-booking sequence whose next step is far ahead. */
beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
  prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected", steps: [{}, {}] });
  leadId = await addLead(sql, workspaceId, { status: "meeting-booked" });
  await addAppointment(sql, leadId, { external_id: "one" });
  instanceId = await addInstance(sql, leadId, prepare.id, { next_step_due: FAR_AHEAD });
  await addTouch(sql, instanceId, prepare.steps[0] ?? "");
});

const write = (statement: string, db: Sql = sql) =>
  db.query(statement.replaceAll(":lead", `'${leadId}'`).replaceAll(":workspace", `'${workspaceId}'`));

async function instanceOf(id: string): Promise<Columns> {
  const { rows } = await sql.query<Columns>(
    `select instance.status::text, completed_reason as reason,
            (select json_agg(touch.status order by touch.id) from touch where instance_id = instance.id) as touches
       from follow_up_instance as instance where id = $1`,
    [id],
  );
  return rows[0] ?? {};
}

const marks = async () => (await sql.query("select from lead where stop_cause is not null")).rowCount;
const backstop = async () => (await runner.run({ workspaceId })).backstop;

const GOES_ON = { status: "active", reason: null, touches: ["claimed"] };
const stopped = (reason: string) => ({ status: "cancelled", reason, touches: ["cancelled"] });

describe("a meeting that is changed by a direct write", () => {
  it.each([
    ["cancelled", "update appointment set status = 'cancelled' where lead_id = :lead", "meeting_cancelled"],
    ["missed", "update appointment set status = 'missed' where lead_id = :lead", "meeting_missed"],
    ["deleted", "delete from appointment where lead_id = :lead", "meeting_cancelled"],
    [
      "moved into the past",
      "update appointment set starts_at = '2020-01-01', ends_at = '2020-01-02' where lead_id = :lead",
      "meeting_cancelled",
    ],
    [
      "missed after its end",
      `update appointment set starts_at = '2020-01-01', ends_at = '2020-01-02' where lead_id = :lead;
       update lead set stop_cause = null where id = :lead;
       update appointment set status = 'missed' where lead_id = :lead`,
      "meeting_missed",
    ],
    [
      "given to another lead",
      `update appointment set lead_id = (
         select id from lead where workspace_id = :workspace and id <> :lead) where lead_id = :lead`,
      "meeting_cancelled",
    ],
    [
      "replaced by one that is cancelled",
      `delete from appointment where lead_id = :lead;
       insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
       values (:workspace, :lead, 'one', 'cancelled', '2100-01-01', '2100-01-02', now())`,
      "meeting_cancelled",
    ],
  ])(
    "and is %s ends post-booking sequences and cancels what is unsent, by the next run",
    async (_, statement, reason) => {
      await addLead(sql, workspaceId);
      await write(statement);
      expect(await backstop()).toMatchObject({ endedPostBooking: 1, cancelledTouches: 1, completedCount: 0 });
      expect(await instanceOf(instanceId)).toEqual(stopped(reason));
      expect(await marks()).toBe(0);
      expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    },
  );

  it.each([
    ["moved to another time", "update appointment set ends_at = ends_at + interval '1 day' where lead_id = :lead"],
    ["written again as it was", "update appointment set status = 'confirmed' where lead_id = :lead"],
    [
      "cancelled and confirmed again",
      `update appointment set status = 'cancelled' where lead_id = :lead;
       update appointment set status = 'confirmed' where lead_id = :lead`,
    ],
    [
      "deleted and inserted again, as a synchronisation does it",
      `delete from appointment where lead_id = :lead;
       insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
       values (:workspace, :lead, 'one', 'confirmed', '2100-01-01', '2100-01-02', now())`,
    ],
    [
      "cancelled while another is ahead",
      `insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
       values (:workspace, :lead, 'two', 'confirmed', '2100-01-01', '2100-01-02', now());
       update appointment set status = 'cancelled' where external_id = 'one' and lead_id = :lead`,
    ],
  ])("and is %s ends nothing", async (_, statement) => {
    await write(statement);
    expect(await backstop()).toMatchObject({ endedPostBooking: 0, cancelledTouches: 0 });
    expect(await instanceOf(instanceId)).toEqual(GOES_ON);
    expect(await marks()).toBe(0);
  });

  it("ends nothing if the meeting is over, also when old rows are deleted", async () => {
    await write("update lead set status = 'qualified' where id = :lead");
    // Simulate the passing of time: no trigger may fire.
    const later = await openTransaction(sql);
    await write("set local session_replication_role = replica", later);
    await write("update appointment set starts_at = '2020-01-01', ends_at = '2020-01-02' where lead_id = :lead", later);
    await write("update lead set booked_until = '2020-01-02' where id = :lead", later);
    await later.commit();
    expect(await backstop()).toMatchObject({ unbookedLeads: 1, endedPostBooking: 0 });
    await write("delete from appointment where lead_id = :lead");
    await write("update lead set status = 'new' where id = :lead");
    expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    expect(await instanceOf(instanceId)).toEqual(GOES_ON);
  });

  it("starts no sequence for any change", async () => {
    await addSequence(sql, workspaceId, { trigger_on: "meeting_missed" });
    await write("update appointment set status = 'missed' where lead_id = :lead");
    await backstop();
    const { rows } = await sql.query("select status::text from follow_up_instance where lead_id = $1", [leadId]);
    expect(rows).toEqual([{ status: "cancelled" }]);
  });

  it("cancels the last step of a sequence that is complete but for its sending", async () => {
    await write(
      "update follow_up_instance set status = 'completed', completed_at = now(), next_step_due = null where lead_id = :lead",
    );
    await write("delete from appointment where lead_id = :lead");
    expect(await backstop()).toMatchObject({ endedPostBooking: 0, cancelledTouches: 1 });
    expect(await instanceOf(instanceId)).toMatchObject({ status: "completed", touches: ["cancelled"] });
  });

  it("does not touch other leads or sequences before a booking", async () => {
    const other = await addLead(sql, workspaceId, { status: "meeting-booked" });
    await addAppointment(sql, other);
    const others = await addInstance(sql, other, prepare.id, { next_step_due: FAR_AHEAD });
    const { rows } = await sql.query("select to_jsonb(i) as row from follow_up_instance i where id = $1", [others]);
    await write("delete from appointment where lead_id = :lead");
    await backstop();
    const after = await sql.query("select to_jsonb(i) as row from follow_up_instance i where id = $1", [others]);
    expect(after.rows).toEqual(rows);
  });

  it("ends them even if a sending run overlaps with the write", async () => {
    const changing = await openTransaction(sql);
    await write("delete from appointment where lead_id = :lead", changing);
    expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    await changing.commit();
    expect(await backstop()).toMatchObject({ endedPostBooking: 1 });
  });

  it("keeps its mark while another transaction has locked an instance, and ends the instance after that", async () => {
    await write("delete from appointment where lead_id = :lead");
    const holding = await openTransaction(sql);
    await holding.query("select from follow_up_instance where id = $1 for update", [instanceId]);
    expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    expect(await marks()).toBe(1);
    await holding.rollback();
    expect(await backstop()).toMatchObject({ endedPostBooking: 1 });
    expect(await marks()).toBe(0);
  });

  it("and two backstops at once end each instance once", async () => {
    const leads = [leadId];
    for (let index = 0; index < 20; index++) {
      const lead = await addLead(sql, workspaceId, { status: "meeting-booked" });
      await addAppointment(sql, lead);
      await addInstance(sql, lead, prepare.id, { next_step_due: FAR_AHEAD });
      leads.push(lead);
    }
    await sql.query("delete from appointment where workspace_id = $1", [workspaceId]);
    const both = await Promise.all([1, 2].map(() => completeFollowUpsForMeetingBookedLeads(onPool(sql))));
    const rest = await completeFollowUpsForMeetingBookedLeads(onPool(sql));
    const ended = [...both, rest].reduce((sum, { endedPostBooking }) => sum + endedPostBooking, 0);
    expect(ended).toBe(leads.length);
  });
});

describe("a fact beside a direct write", () => {
  const fact = (type: string, detail: Columns) =>
    tell(onPool(sql), type, {
      workspaceId,
      eventId: `${type} ${JSON.stringify(detail)}`,
      lead: { id: leadId },
      ...detail,
    });

  it("keeps the sequences that another booking started", async () => {
    await write("delete from appointment where lead_id = :lead");
    const booked = await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(1) });
    expect(booked).toMatchObject({ outcome: "applied", started: 1 });
    expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    expect(await instanceOf(instanceId)).toMatchObject({ status: "active" });
  });

  it("that waits for the write sees it, and the mark does not outlive the booking", async () => {
    const changing = await openTransaction(sql);
    await write("delete from appointment where lead_id = :lead", changing);
    const booking = fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(1) });
    await untilBlockedBy(sql, changing.pid);
    await changing.commit();
    expect(await booking).toMatchObject({ outcome: "applied", started: 1 });
    expect(await marks()).toBe(0);
  });

  it("does not remove the mark of the write when it leaves the lead without a meeting", async () => {
    await addAppointment(sql, leadId, { external_id: "past", starts_at: "2020-01-01", ends_at: "2020-01-02" });
    await write("delete from appointment where external_id = 'one' and lead_id = :lead");
    const past = { id: "past", startsAt: "2020-01-01T00:00:00Z", endsAt: "2020-01-02T00:00:00Z" };
    await fact("meeting.rescheduled", { meeting: past, occurredAt: hoursAgo(2) });
    expect(await backstop()).toMatchObject({ endedPostBooking: 1 });
  });

  it.each([
    ["meeting.cancelled", 1],
    ["meeting.missed", 1],
  ])("%s leaves nothing to the backstop", async (type, ended) => {
    expect(await fact(type, { meeting: aMeeting("one"), occurredAt: hoursAgo(1) })).toMatchObject({ ended });
    expect(await marks()).toBe(0);
  });

  it("does not mark anything if it arrives too late", async () => {
    await fact("meeting.cancelled", { meeting: aMeeting("two"), occurredAt: hoursAgo(1) });
    await write("update lead set status = 'qualified' where id = :lead");
    await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(2) });
    expect(await marks()).toBe(0);
    expect(await instanceOf(instanceId)).toEqual(GOES_ON);
  });
});

describe("a status that is changed by a direct write", () => {
  /** A lead that is booked only by its status. */
  beforeEach(async () => {
    await write("update appointment set starts_at = '2020-01-01', ends_at = '2020-01-02' where lead_id = :lead");
    await write("update lead set stop_cause = null where id = :lead");
  });

  it("from meeting-booked to another ends post-booking sequences by the next run", async () => {
    await write("update lead set status = 'qualified' where id = :lead");
    expect(await backstop()).toMatchObject({ endedPostBooking: 1, cancelledTouches: 1 });
    expect(await instanceOf(instanceId)).toEqual(stopped("unbooked"));
  });

  it("from meeting-booked to another and back ends nothing", async () => {
    await write("update lead set status = 'qualified' where id = :lead");
    await write("update lead set status = 'meeting-booked' where id = :lead");
    expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    expect(await instanceOf(instanceId)).toEqual(GOES_ON);
  });

  it("from one that is no booking to another ends nothing, not even a sequence that was entered without a meeting", async () => {
    const lead = await addLead(sql, workspaceId);
    const entered = await addInstance(sql, lead, prepare.id, { next_step_due: FAR_AHEAD });
    await sql.query("update lead set status = 'new' where id = $1", [lead]);
    expect(await backstop()).toMatchObject({ endedPostBooking: 0 });
    expect(await instanceOf(entered)).toMatchObject({ status: "active" });
  });

  it("together with missed_at ends them too", async () => {
    await write("update lead set missed_at = now() where id = :lead");
    expect(await backstop()).toMatchObject({ endedPostBooking: 1 });
  });

  it.each([
    ["blacklisted", "blacklisted"],
    ["unqualified", "unqualified"],
    ["not-interested", "not_interested"],
  ] as const)(
    "to %s completes every live instance, also paused ones, and cancels what is unsent",
    async (status, reason) => {
      const lead = await addLead(sql, workspaceId);
      const paused = await addInstance(sql, lead, chase.id, { status: "paused" });
      await addTouch(sql, paused, chase.steps[0] ?? "", { status: "awaiting_approval" });
      await sql.query("update lead set status = $2::lead_status where id = $1", [lead, status]);
      expect(await backstop()).toMatchObject({ endedByLeadStatus: 1, endedPostBooking: 0, cancelledTouches: 1 });
      expect(await instanceOf(paused)).toEqual({ status: "completed", reason, touches: ["cancelled"] });
    },
  );

  it("to one that bars contact and back again before the next run ends nothing", async () => {
    const lead = await addLead(sql, workspaceId);
    const paused = await addInstance(sql, lead, chase.id, { status: "paused" });
    await sql.query("update lead set status = 'blacklisted' where id = $1", [lead]);
    await sql.query("update lead set status = 'qualified' where id = $1", [lead]);
    expect(await backstop()).toMatchObject({ endedByLeadStatus: 0 });
    expect(await instanceOf(paused)).toMatchObject({ status: "paused" });
    expect(await marks()).toBe(0);
  });

  it("does not hide a meeting that was cancelled before it", async () => {
    const lead = await addLead(sql, workspaceId);
    await addAppointment(sql, lead);
    const entered = await addInstance(sql, lead, prepare.id, { next_step_due: FAR_AHEAD });
    for (const change of [
      "update appointment set status = 'cancelled' where lead_id",
      "update lead set status = 'blacklisted' where id",
      "update lead set status = 'new' where id",
    ]) {
      await sql.query(`${change} = $1`, [lead]);
    }
    expect(await backstop()).toMatchObject({ endedPostBooking: 1 });
    expect(await instanceOf(entered)).toMatchObject({ reason: "meeting_cancelled" });
  });

  it("of one workspace is left to the run of that workspace", async () => {
    const elsewhere = await addWorkspace(sql);
    await write("update lead set status = 'blacklisted' where id = :lead");
    const before = await rowsOf(sql, workspaceId);
    await runner.run({ workspaceId: elsewhere });
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
    expect(await backstop()).toMatchObject({ endedByLeadStatus: 1 });
  });
});
