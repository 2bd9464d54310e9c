import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import {
  INSTANCE_STATUSES,
  type InstanceStatus,
  LEAD_STATUSES,
  type LeadStatus,
  SEQUENCE_TRIGGERS,
  type SequenceTrigger,
  TOUCH_STATUSES,
} from "../lib/domain/labels.ts";
import { completeFollowUpsForMeetingBookedLeads } from "../lib/index.ts";
import type { Report } from "../lib/run/report.ts";
import { type BackstopReport, nothingCompleted } from "../lib/run/step-reports.ts";
import {
  addAppointment,
  addBystanders,
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  FAR_AHEAD,
  rowsOf,
  type Sequence,
} from "./support/factories.ts";
import { clockAt, openRunner, type Runner, useRunner } from "./support/run.ts";
import { openTransaction, untilBlockedBy } from "./support/transactions.ts";

const { database, sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;

/** Adds a workspace per group of tests, with one sequence that chases a meeting. */
async function startWorkspace(): Promise<void> {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
}

const book = (leadId: string) => sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);

async function runBackstop(changes: Parameters<Runner["run"]>[1] = {}): Promise<BackstopReport> {
  const report = await runner.run({ only: ["backstop"], workspaceId }, changes);
  expect(report.errors).toEqual([]);
  return backstopOf(report);
}

function backstopOf({ backstop }: Report): BackstopReport {
  if (!backstop) throw new Error("the backstop did not run");
  return backstop;
}

interface InstanceRow {
  readonly status: string;
  readonly next_step_due: Date | null;
  readonly paused_reason: string | null;
  readonly completed_reason: string | null;
  readonly completed_at: Date | null;
}

async function instanceRow(id: string): Promise<InstanceRow> {
  const { rows } = await sql.query<InstanceRow>("select * from follow_up_instance where id = $1", [id]);
  const [row] = rows;
  if (!row) throw new Error(`there is no instance ${id}`);
  return row;
}

const statusOf = async (id: string): Promise<string> => (await instanceRow(id)).status;

/** Overwrites the stamp of since when the instance chases a booked lead. */
async function backdate(leadId: string, orphanSince: Date): Promise<void> {
  const transaction = await openTransaction(sql);
  await transaction.query("set local session_replication_role = replica");
  await transaction.query("update follow_up_instance set orphan_since = $2 where lead_id = $1", [leadId, orphanSince]);
  await transaction.commit();
}

const MEETINGS = [null, "confirmed", "cancelled", "missed"] as const;

interface Combination {
  readonly status: InstanceStatus;
  readonly triggerOn: SequenceTrigger;
  readonly lead: LeadStatus;
  readonly meeting: (typeof MEETINGS)[number];
}

const COMBINATIONS: readonly Combination[] = SEQUENCE_TRIGGERS.flatMap((triggerOn) =>
  INSTANCE_STATUSES.flatMap((status) =>
    LEAD_STATUSES.flatMap((lead) => MEETINGS.map((meeting) => ({ triggerOn, status, lead, meeting }))),
  ),
);

/** Adds one instance per combination; its lead gets its state after the sequence started. */
async function addMatrix(
  combinations: readonly Combination[],
): Promise<readonly (Combination & { readonly id: string })[]> {
  const sequences = new Map<SequenceTrigger, Sequence>();
  for (const trigger of SEQUENCE_TRIGGERS) {
    sequences.set(trigger, await addSequence(sql, workspaceId, { trigger_on: trigger }));
  }
  return Promise.all(
    combinations.map(async (combination) => {
      const { status, triggerOn, lead, meeting } = combination;
      const sequenceId = String(sequences.get(triggerOn)?.id);
      const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, sequenceId, { instance: { status } });
      await sql.query("update lead set status = $2 where id = $1", [leadId, lead]);
      if (meeting) await addAppointment(sql, leadId, { status: meeting });
      return { ...combination, id: instanceId };
    }),
  );
}

describe("the instances that the backstop completes", () => {
  beforeAll(startWorkspace);

  const isLive = ({ status }: Combination) => status === "active" || status === "paused";
  const isChasingBooked = ({ triggerOn, lead, meeting }: Combination) =>
    triggerOn !== "meeting_selected" && (lead === "meeting-booked" || meeting === "confirmed");
  const mayNotBeContacted = ({ lead }: Combination) =>
    lead === "blacklisted" || lead === "unqualified" || lead === "not-interested";
  const lacksItsMeeting = ({ triggerOn, meeting }: Combination) =>
    triggerOn === "meeting_selected" && (meeting === "cancelled" || meeting === "missed");

  it("are all live instances of booked leads outside post-booking sequences and those that a direct write stops; no others", async () => {
    const bystanders = await addBystanders(sql);
    const combinations = await addMatrix(COMBINATIONS);
    const before = { bystanders: await rowsOf(sql, bystanders), instances: await instancesById() };
    const live = combinations.filter(isLive);
    const shouldComplete = live.filter(isChasingBooked);
    const others = live.filter((combination) => !isChasingBooked(combination));
    const barred = others.filter(mayNotBeContacted);
    const withoutMeeting = others.filter(
      (combination) => !mayNotBeContacted(combination) && lacksItsMeeting(combination),
    );

    const report = await runner.run({ only: ["backstop"] });

    expect(backstopOf(report)).toMatchObject({
      completedCount: shouldComplete.length,
      byWorkspace: { [workspaceId]: shouldComplete.length },
      remaining: 0,
      endedPostBooking: withoutMeeting.length,
      endedByLeadStatus: barred.length,
      unbookedLeads: 0,
      missedByMarker: 0,
    });
    const after = await instancesById();
    const rewritten = combinations.filter(({ id }) => after.get(id)?.version !== before.instances.get(id)?.version);
    const byId = (one: { id: string }, other: { id: string }) => one.id.localeCompare(other.id);
    expect(rewritten.toSorted(byId)).toEqual([...shouldComplete, ...barred, ...withoutMeeting].toSorted(byId));
    for (const { id, lead, meeting } of [...barred, ...withoutMeeting]) {
      const reason = mayNotBeContacted({ lead } as Combination) ? lead.replace("-", "_") : `meeting_${meeting}`;
      expect(after.get(id)).toMatchObject({ completed_reason: reason, next_step_due: null, paused_reason: null });
    }
    for (const { id } of shouldComplete) {
      expect(after.get(id)).toMatchObject({
        status: "completed",
        completed_reason: "meeting_booked",
        completed_at: new Date(String(report.timestamp)),
        next_step_due: null,
        paused_reason: null,
      });
    }
    expect(await rowsOf(sql, bystanders)).toEqual(before.bystanders);
  });

  it("is nothing the second time, and then it rewrites no row", async () => {
    await addMatrix(COMBINATIONS.filter(({ meeting }) => meeting === null));
    expect(await runBackstop()).not.toMatchObject({ completedCount: 0 });
    const before = await rowsOf(sql, workspaceId);
    expect(await runBackstop()).toEqual({
      completedCount: 0,
      cancelledTouches: 0,
      slowestSeconds: 0,
      sweepAgeSeconds: null,
      byWorkspace: {},
      remaining: 0,
      endedPostBooking: 0,
      endedByLeadStatus: 0,
      unbookedLeads: 0,
      missedByMarker: null,
    });
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
  });

  async function instancesById() {
    const { rows } = await sql.query<InstanceRow & { id: string; version: string }>(
      "select *, xmin || ' ' || ctid as version from follow_up_instance where workspace_id = $1",
      [workspaceId],
    );
    return new Map(rows.map((row) => [row.id, row]));
  }
});

describe("a booking written by raw SQL", () => {
  beforeAll(startWorkspace);

  const appointment = (status: string, endsIn: string) =>
    `insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
     select workspace_id, id, id || ' ${endsIn}', '${status}', now() - interval '1 year', now() + interval '${endsIn}', now()
       from lead where id = $1`;
  const setStatus = (status: string) => `update appointment set status = '${status}' where lead_id = $1`;

  it.each<[string, readonly string[], string]>([
    ["the status of the lead", ["update lead set status = 'meeting-booked' where id = $1"], "completed"],
    ["a confirmed meeting ahead", [appointment("confirmed", "1 hour")], "completed"],
    ["a meeting confirmed later", [appointment("cancelled", "1 hour"), setStatus("confirmed")], "completed"],
    [
      "one of two meetings that stays",
      [
        appointment("confirmed", "1 hour"),
        appointment("confirmed", "2 hours"),
        "update appointment set status = 'cancelled' where lead_id = $1 and external_id like '% 2 hours'",
      ],
      "completed",
    ],
    [
      "a meeting that was moved into the future",
      [
        appointment("confirmed", "-1 hour"),
        "update appointment set ends_at = now() + interval '1 hour' where lead_id = $1",
      ],
      "completed",
    ],
    ["no booking at all", ["update lead set first_name = 'Eve' where id = $1"], "active"],
    ["a cancelled meeting", [appointment("cancelled", "1 hour")], "active"],
    ["a meeting that is over", [appointment("confirmed", "-1 hour")], "active"],
    ["a meeting cancelled again", [appointment("confirmed", "1 hour"), setStatus("cancelled")], "active"],
    ["a meeting missed", [appointment("confirmed", "1 hour"), setStatus("missed")], "active"],
    [
      "a meeting deleted again",
      [appointment("confirmed", "1 hour"), "delete from appointment where lead_id = $1"],
      "active",
    ],
    [
      "a status taken back",
      ["update lead set status = 'meeting-booked' where id = $1", "update lead set status = 'qualified' where id = $1"],
      "active",
    ],
  ])("by %s leaves the instance as it must be", async (_, statements, expected) => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    for (const statement of statements) await sql.query(statement, [leadId]);
    const report = await runBackstop();
    expect(await statusOf(instanceId)).toBe(expected);
    expect(report.completedCount).toBe(expected === "completed" ? 1 : 0);
  });

  it("passes from one lead to the other with the meeting", async () => {
    const first = await addFollowedLead(sql, workspaceId, chase.id);
    const second = await addFollowedLead(sql, workspaceId, chase.id);
    await addAppointment(sql, first.leadId);
    await sql.query("update appointment set lead_id = $2 where lead_id = $1", [first.leadId, second.leadId]);
    await runBackstop();
    expect(await statusOf(first.instanceId)).toBe("active");
    expect(await statusOf(second.instanceId)).toBe("completed");
  });
});

describe("an instance that starts after the booking", () => {
  beforeAll(startWorkspace);

  it("is completed when it was started then", async () => {
    const leadId = await addLead(sql, workspaceId, { status: "meeting-booked" });
    const instanceId = await addInstance(sql, leadId, chase.id);
    expect(await runBackstop()).toMatchObject({ completedCount: 1 });
    expect(await statusOf(instanceId)).toBe("completed");
  });

  it.each(["completed", "cancelled"])("is completed when it was %s and is reactivated", async (status) => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { instance: { status } });
    await book(leadId);
    expect(await runBackstop()).toMatchObject({ completedCount: 0 });
    await sql.query("update follow_up_instance set status = 'active', next_step_due = now() where id = $1", [
      instanceId,
    ]);
    expect(await runBackstop()).toMatchObject({ completedCount: 1 });
    expect(await instanceRow(instanceId)).toMatchObject({ status: "completed", next_step_due: null });
  });

  const STALE = { code: "23503", constraint: "follow_up_instance_workspace_id_lead_id_lead_booked_fkey" };

  it("is refused when it says that the lead is not booked, and taken when it says so rightly", async () => {
    const leadId = await addLead(sql, workspaceId, { status: "meeting-booked" });
    await expect(addInstance(sql, leadId, chase.id, { lead_booked: false })).rejects.toMatchObject(STALE);
    const instanceId = await addInstance(sql, leadId, chase.id, { lead_booked: true });
    const restart = "update follow_up_instance set generation = generation + 1, lead_booked = $2 where id = $1";
    await expect(sql.query(restart, [instanceId, false])).rejects.toMatchObject(STALE);
    await expect(sql.query(restart, [instanceId, true])).resolves.toMatchObject({ rowCount: 1 });
    await runBackstop();
  });

  it("waits for a booking that is not committed, and is refused once it is", async () => {
    const leadId = await addLead(sql, workspaceId);
    const booking = await openTransaction(sql);
    await booking.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
    const refused = expect(addInstance(sql, leadId, chase.id)).rejects.toMatchObject(STALE);
    await untilBlockedBy(sql, booking.pid);
    await booking.commit();
    await refused;
  });

  it("waits for a booking that is not committed, and is taken once that is rolled back", async () => {
    const leadId = await addLead(sql, workspaceId);
    const booking = await openTransaction(sql);
    await booking.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
    const enrolled = addInstance(sql, leadId, chase.id);
    await untilBlockedBy(sql, booking.pid);
    await booking.rollback();
    const instanceId = await enrolled;
    expect(await runBackstop()).toMatchObject({ completedCount: 0 });
    expect(await statusOf(instanceId)).toBe("active");
  });

  it.each([
    ["status", "update lead set status = 'meeting-booked' where id = $1"],
    [
      "meeting",
      `insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
       select workspace_id, id, 'race', 'confirmed', now(), now() + interval '1 day', now() from lead where id = $1`,
    ],
  ])("makes a booking by %s wait until it is committed, and is then seen by it", async (_, statement) => {
    const leadId = await addLead(sql, workspaceId);
    const enrolment = await openTransaction(sql);
    const instanceId = await addInstance(enrolment, leadId, chase.id);
    const booked = sql.query(statement, [leadId]);
    await untilBlockedBy(sql, enrolment.pid);
    await enrolment.commit();
    await booked;
    expect(await runBackstop()).toMatchObject({ completedCount: 1 });
    expect(await statusOf(instanceId)).toBe("completed");
  });
});

describe("touches", () => {
  beforeAll(startWorkspace);

  it("that are unsent are cancelled with their instance, and all others stay as they are", async () => {
    const long = await addSequence(sql, workspaceId, { steps: TOUCH_STATUSES.map(() => ({})) });
    const followed = await addFollowedLead(sql, workspaceId, long.id);
    const other = await addFollowedLead(sql, workspaceId, long.id);
    const touches = new Map<string, string>();
    for (const [index, status] of TOUCH_STATUSES.entries()) {
      touches.set(await addTouch(sql, followed.instanceId, long.steps[index] ?? "", { status }), status);
      await addTouch(sql, other.instanceId, long.steps[index] ?? "", { status });
    }
    const versions = await touchVersions();
    await book(followed.leadId);

    expect(await runBackstop()).toMatchObject({ completedCount: 1, cancelledTouches: 2 });

    const after = await touchVersions();
    const changed = [...touches].filter(([id]) => after.get(id)?.version !== versions.get(id)?.version);
    expect(changed.map(([, status]) => status).sort()).toEqual(["awaiting_approval", "claimed"]);
    for (const [id] of changed) {
      expect(after.get(id)).toMatchObject({ status: "cancelled", reason: "meeting_booked", next_attempt_at: null });
    }
    expect([...after].filter(([id]) => !touches.has(id))).toEqual([...versions].filter(([id]) => !touches.has(id)));
  });

  it("of the same lead's post-booking sequence stay claimed", async () => {
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await book(leadId);
    const preparing = await addInstance(sql, leadId, prepare.id);
    const chasing = await addTouch(sql, instanceId, chase.steps[0] ?? "");
    const reminding = await addTouch(sql, preparing, prepare.steps[0] ?? "");
    expect(await runBackstop()).toMatchObject({ completedCount: 1, cancelledTouches: 1 });
    const after = await touchVersions();
    expect(after.get(chasing)).toMatchObject({ status: "cancelled" });
    expect(after.get(reminding)).toMatchObject({ status: "claimed" });
    expect(await statusOf(preparing)).toBe("active");
  });

  async function touchVersions() {
    const { rows } = await sql.query<{ id: string; status: string; version: string }>(
      "select *, xmin || ' ' || ctid as version from touch where workspace_id = $1",
      [workspaceId],
    );
    return new Map(rows.map((row) => [row.id, row]));
  }
});

describe("workspaces", () => {
  it("are counted separately, and a run for one does not touch the others", async () => {
    const counts = new Map<string, number>();
    for (const count of [2, 3]) {
      await startWorkspace();
      counts.set(workspaceId, count);
      for (let number = 0; number < count; number++) {
        const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
        await book(leadId);
      }
    }
    const [first, second] = [...counts.keys()];
    workspaceId = String(first);
    const before = await rowsOf(sql, String(second));
    expect(await runBackstop()).toMatchObject({ completedCount: 2, byWorkspace: { [workspaceId]: 2 }, remaining: 0 });
    expect(await rowsOf(sql, String(second))).toEqual(before);
    const everywhere = backstopOf(await runner.run({ only: ["backstop"] }));
    expect(everywhere).toMatchObject({ completedCount: 3, byWorkspace: { [String(second)]: 3 } });
  });
});

describe("the time from booking to completion", () => {
  beforeAll(startWorkspace);
  const now = new Date("2030-05-06T10:00:00Z");
  const earlierBy = (seconds: number) => new Date(now.getTime() - seconds * 1_000);

  it.each([
    ["when the instance became one to complete", earlierBy(3_600), 3_600],
    ["nothing, where the clock of the booking is ahead", earlierBy(-5), 0],
  ])("is measured from %s", async (_, orphanSince, expected) => {
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await book(leadId);
    await backdate(leadId, orphanSince);
    const report = await runner.run({ only: ["backstop"], workspaceId }, clockAt(now));
    // The time between reading the clock and the completion counts too.
    expect(backstopOf(report).slowestSeconds).toBeGreaterThanOrEqual(expected);
    expect(backstopOf(report).slowestSeconds).toBeLessThanOrEqual(expected + (report.durationMs + 1) / 1_000);
  });

  it("is the slowest of all that were completed", async () => {
    for (const seconds of [5, 500, 50]) {
      const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
      await book(leadId);
      await backdate(leadId, earlierBy(seconds));
    }
    const report = await runner.run({ only: ["backstop"], workspaceId }, clockAt(now));
    expect(Math.floor(backstopOf(report).slowestSeconds)).toBe(500);
  });

  it("counts the wait of an instance that another transaction holds, and ends with the completion", async () => {
    const held = await addFollowedLead(sql, workspaceId, chase.id);
    const free = await addFollowedLead(sql, workspaceId, chase.id);
    for (const { leadId } of [held, free]) await book(leadId);
    await backdate(held.leadId, earlierBy(7_200));
    await backdate(free.leadId, earlierBy(60));
    const other = await openTransaction(sql);
    await other.query("select from follow_up_instance where id = $1 for update", [held.instanceId]);
    const at = clockAt(now);
    const waiting = await runBackstop(at);
    expect(waiting).toMatchObject({ completedCount: 1, remaining: 1 });
    expect(Math.floor(waiting.slowestSeconds)).toBe(7_200);
    // Only the locked instance is left to complete.
    expect(Math.floor((await runBackstop(at)).slowestSeconds)).toBe(7_200);
    await other.rollback();
    expect(await runBackstop(at)).toMatchObject({ completedCount: 1, remaining: 0 });
    expect(await runBackstop(at)).toMatchObject({ completedCount: 0, remaining: 0, slowestSeconds: 0 });
  });

  it("counts the waiting time of instances left over when time runs out", async () => {
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await book(leadId);
    await backdate(leadId, earlierBy(600));
    const report = nothingCompleted();
    const { store } = runner.ports;
    await store.completeBooked({ now, workspaceId, stopping: () => true, report });
    expect(report).toMatchObject({ completedCount: 0, remaining: 1 });
    expect(Math.floor(report.slowestSeconds)).toBe(600);
    await runBackstop();
  });

  it("is stamped by the database, and no hand can write it", async () => {
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await sql.query("update lead set status = 'meeting-booked', booked_at = '2001-01-01' where id = $1", [leadId]);
    await sql.query("update lead set booked_at = '2001-01-01' where id = $1", [leadId]);
    const { slowestSeconds } = await runBackstop();
    expect(slowestSeconds).toBeLessThan(60);
  });
});

describe("a meeting that is over", () => {
  beforeAll(startWorkspace);
  const endsAt = new Date("2100-01-04T10:00:00Z");
  const at = (offsetMs: number) => clockAt(endsAt.getTime() + offsetMs);

  async function bookedUntil(leadId: string): Promise<Date | null> {
    const { rows } = await sql.query<{ booked_until: Date | null }>("select booked_until from lead where id = $1", [
      leadId,
    ]);
    return rows[0]?.booked_until ?? null;
  }

  it("no longer books its lead from the instant of its end, and not a millisecond before", async () => {
    const leadId = await addLead(sql, workspaceId);
    await addAppointment(sql, leadId, { starts_at: FAR_AHEAD, ends_at: endsAt });
    expect(await runBackstop(at(-1))).toMatchObject({ unbookedLeads: 0 });
    expect(await bookedUntil(leadId)).toEqual(endsAt);
    expect(await runBackstop(at(0))).toMatchObject({ unbookedLeads: 1 });
    expect(await bookedUntil(leadId)).toBeNull();
    const { rows } = await sql.query("select is_booked, booked_at from lead where id = $1", [leadId]);
    expect(rows).toEqual([{ is_booked: false, booked_at: null }]);
    expect(await runBackstop(at(0))).toMatchObject({ unbookedLeads: 0 });
  });

  it("leaves its lead booked if the status still says so", async () => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addAppointment(sql, leadId, { starts_at: FAR_AHEAD, ends_at: endsAt });
    await book(leadId);
    expect(await runBackstop(at(0))).toMatchObject({ completedCount: 1, unbookedLeads: 1 });
    await sql.query("update follow_up_instance set status = 'active', next_step_due = now() where id = $1", [
      instanceId,
    ]);
    expect(await runBackstop(at(0))).toMatchObject({ completedCount: 1, unbookedLeads: 0 });
  });

  it("is not forgotten before the sequences that it was to stop are completed", async () => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addAppointment(sql, leadId, { starts_at: FAR_AHEAD, ends_at: endsAt });
    const other = await openTransaction(sql);
    await other.query("select from follow_up_instance where id = $1 for update", [instanceId]);
    expect(await runBackstop(at(0))).toMatchObject({ completedCount: 0, remaining: 1, unbookedLeads: 0 });
    expect(await bookedUntil(leadId)).toEqual(endsAt);
    await other.rollback();
    expect(await runBackstop(at(0))).toMatchObject({ completedCount: 1, remaining: 0, unbookedLeads: 1 });
    expect(await instanceRow(instanceId)).toMatchObject({ status: "completed", completed_reason: "meeting_booked" });
  });
});

describe("a post-booking sequence", () => {
  beforeAll(startWorkspace);

  it("continues after the booking while the chasing sequence stops", async () => {
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected", steps: [{}, {}] });
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await book(leadId);
    const preparing = await addInstance(sql, leadId, prepare.id);
    const report = await runner.run({ workspaceId });
    expect(report).toMatchObject({
      success: true,
      backstop: { completedCount: 1 },
      results: { delivery: { sent: 1 } },
    });
    expect(await statusOf(instanceId)).toBe("completed");
    expect(await statusOf(preparing)).toBe("active");
    const { rows } = await sql.query("select instance_id, status from touch where workspace_id = $1", [workspaceId]);
    expect(rows).toEqual([{ instance_id: preparing, status: "sent" }]);
  });

  it("stops as soon as it is made one that chases", async () => {
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    const leadId = await addLead(sql, workspaceId, { status: "meeting-booked" });
    const instanceId = await addInstance(sql, leadId, prepare.id);
    expect(await runBackstop()).toMatchObject({ completedCount: 0 });
    await sql.query("update follow_up_sequence set trigger_on = 'manual' where id = $1", [prepare.id]);
    expect(await runBackstop()).toMatchObject({ completedCount: 1 });
    expect(await statusOf(instanceId)).toBe("completed");
  });
});

describe("the daily comparison", () => {
  beforeAll(startWorkspace);
  const now = new Date("2031-05-06T10:00:00Z");
  const DAY_MS = 24 * 60 * 60_000;
  const compareAt = async (instant: Date): Promise<Report> =>
    runner.run({ only: ["backstop", "send-due"] }, clockAt(instant));

  it("finds bookings that bypassed the triggers, completes their instances, and reports an error", async () => {
    await sql.query("update run set compared_at = null");
    const missed = await addFollowedLead(sql, workspaceId, chase.id);
    const waiting = await addTouch(sql, missed.instanceId, chase.steps[1] ?? "", { status: "awaiting_approval" });
    const seen = await addFollowedLead(sql, workspaceId, chase.id);
    const due = await addFollowedLead(sql, workspaceId, chase.id);
    await book(seen.leadId);
    const transaction = await openTransaction(sql);
    await transaction.query("set local session_replication_role = replica");
    await transaction.query("update lead set status = 'meeting-booked' where id = $1", [missed.leadId]);
    await transaction.commit();

    const report = await compareAt(now);

    expect(report).toMatchObject({ success: false, statusCode: 500 });
    expect(report.errors).toEqual([expect.stringMatching(/the marker missed 1 live instances/)]);
    expect(backstopOf(report)).toMatchObject({ completedCount: 1, missedByMarker: 1, cancelledTouches: 1 });
    expect(await instanceRow(missed.instanceId)).toMatchObject({
      status: "completed",
      completed_reason: "meeting_booked",
      next_step_due: null,
    });
    const { rows } = await sql.query("select status, reason from touch where id = $1", [waiting]);
    expect(rows).toEqual([{ status: "cancelled", reason: "meeting_booked" }]);
    // The fault is repaired, so it does not block sends to other leads.
    expect(runner.channel.sentTo(workspaceId).map(({ leadId }) => leadId)).toEqual([due.leadId]);
  });

  it("finds nothing if the marker is right, once a day and again on the next day", async () => {
    await sql.query("update run set compared_at = null");
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await book(leadId);
    expect(backstopOf(await compareAt(now)).missedByMarker).toBe(0);
    expect(backstopOf(await compareAt(now)).missedByMarker).toBeNull();
    expect(backstopOf(await compareAt(new Date(now.getTime() + DAY_MS - 1))).missedByMarker).toBeNull();
    expect(backstopOf(await compareAt(new Date(now.getTime() + DAY_MS))).missedByMarker).toBe(0);
  });
});

describe("a daily comparison that is dated ahead", () => {
  it("as after a clock that ran ahead, puts the next one off by no day", async () => {
    await sql.query("update run set compared_at = '2099-01-01'");
    const at = clockAt("2032-05-06T10:00:00Z");
    const compared = async () => backstopOf(await runner.run({ only: ["backstop"] }, at)).missedByMarker;
    expect(await compared()).toBe(0);
    expect(await compared()).toBeNull();
  });
});

describe("a backstop that fails", () => {
  beforeAll(startWorkspace);
  afterEach(() => sql.query("drop trigger if exists broken on follow_up_instance"));

  async function addDueAndOrphan() {
    const orphan = await addFollowedLead(sql, workspaceId, chase.id);
    await book(orphan.leadId);
    return { orphan, due: await addFollowedLead(sql, workspaceId, chase.id) };
  }

  it("is reported, and the run sends nothing although the other steps run", async () => {
    const { orphan, due } = await addDueAndOrphan();
    await sql.query(`
      create or replace function broken() returns trigger language plpgsql as $$ begin raise 'the disk is on fire'; end $$`);
    await sql.query(`
      create trigger broken before update on follow_up_instance for each row
        when (new.completed_reason = 'meeting_booked') execute function broken()`);
    const before = await rowsOf(sql, workspaceId);

    const report = await runner.run({ workspaceId });

    expect(report).toMatchObject({ success: false, statusCode: 500, results: null, snoozed: { checked: 0 } });
    expect(report.errors).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^backstop: .*the disk is on fire/),
        expect.stringMatching(/^send-due: not run/),
      ]),
    );
    expect(runner.channel.sentTo(workspaceId)).toEqual([]);
    expect(await statusOf(orphan.instanceId)).toBe("active");
    expect(await statusOf(due.instanceId)).toBe("active");
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
  });

  it("is repaired by the next run, which sends", async () => {
    const { orphan, due } = await addDueAndOrphan();
    const report = await runner.run({ workspaceId });
    expect(report).toMatchObject({ success: true, statusCode: 200, errors: [] });
    expect(await statusOf(orphan.instanceId)).toBe("completed");
    expect(runner.channel.sentTo(workspaceId).map(({ leadId }) => leadId)).toContain(due.leadId);
  });
});

describe("two backstops at once", () => {
  let second: Runner;
  beforeAll(async () => {
    await startWorkspace();
    second = openRunner(database.url);
  });
  afterAll(() => second.close());

  /** Adds more orphans than one batch holds, in one statement. */
  async function addOrphans(count: number): Promise<void> {
    await sql.query(
      `with lead as (
         insert into lead (workspace_id, status) select $1, 'meeting-booked' from generate_series(1, $3) returning id)
       insert into follow_up_instance (workspace_id, lead_id, sequence_id, lead_booked, status, next_step_due)
       select $1, id, $2, true, 'active', now() from lead`,
      [workspaceId, chase.id, count],
    );
  }

  it("do not wait for each other, and complete each row once", async () => {
    await addOrphans(2_500);
    const { rows } = await sql.query<{ id: string }>(
      "select id from follow_up_instance where workspace_id = $1 and status = 'active' order by id limit 1",
      [workspaceId],
    );
    const touchId = await addTouch(sql, String(rows[0]?.id), chase.steps[0] ?? "");
    const holder = await openTransaction(sql);
    await holder.query("select from touch where id = $1 for update", [touchId]);

    const first = runner.run({ only: ["backstop"], workspaceId });
    await untilBlockedBy(sql, holder.pid);
    const passing = await second.run({ only: ["backstop"], workspaceId });
    await holder.rollback();

    expect(backstopOf(passing)).toMatchObject({ completedCount: 1_500, remaining: 1_000, cancelledTouches: 0 });
    expect(backstopOf(await first)).toMatchObject({ completedCount: 1_000, remaining: 0, cancelledTouches: 1 });
  });

  it("share the work without deadlock when nothing holds them apart", async () => {
    await addOrphans(4_000);
    const reports = await Promise.all([runner, second].map((each) => each.run({ only: ["backstop"], workspaceId })));
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    const counts = reports.map((report) => backstopOf(report).completedCount);
    expect(counts.reduce((sum, count) => sum + count)).toBe(4_000);
  });

  it("skip a row that another transaction has locked, and report it as remaining", async () => {
    const held = await addFollowedLead(sql, workspaceId, chase.id);
    const free = await addFollowedLead(sql, workspaceId, chase.id);
    await book(held.leadId);
    await book(free.leadId);
    const other = await openTransaction(sql);
    await other.query("update follow_up_instance set hold_reason = null where id = $1", [held.instanceId]);
    expect(await runBackstop()).toMatchObject({ completedCount: 1, remaining: 1 });
    expect(await statusOf(held.instanceId)).toBe("active");
    await other.commit();
    expect(await runBackstop()).toMatchObject({ completedCount: 1, remaining: 0 });
  });
});

describe("the function that others may call", () => {
  beforeAll(startWorkspace);

  it("works in the transaction of its caller, and is undone with it", async () => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await book(leadId);
    const { prisma } = runner.ports.database;
    const undone = prisma.$transaction(async (transaction) => {
      const report = await completeFollowUpsForMeetingBookedLeads(transaction, { workspaceId });
      expect(report).toMatchObject({ completedCount: 1 });
      throw new Error("the caller changed its mind");
    });
    await expect(undone).rejects.toThrow("the caller changed its mind");
    expect(await statusOf(instanceId)).toBe("active");
    expect(await completeFollowUpsForMeetingBookedLeads(prisma)).toMatchObject({ completedCount: 1 });
    expect(await statusOf(instanceId)).toBe("completed");
  });
});

describe("the cost of a run with nothing to do", () => {
  beforeAll(async () => {
    await runner.run();
    await startWorkspace();
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    await addLive({ sequence: chase, postBooking: false, count: 20_000 });
    await addLive({ sequence: prepare, postBooking: true, count: 5_000 });
    await sql.query("analyze");
  });

  it("is a look at a few pages of the indexes, however many instances live", async () => {
    const plans = await plansOf({});
    expect(plans.length).toBeGreaterThan(5);
    expect(plans.join()).toMatch(/Index (Only )?Scan using follow_up_instance_orphan on follow_up_instance/);
    // The instance table alone has several hundred pages; a claim reads two per workspace.
    expect(plans.filter((plan) => pagesTouched(plan) > 100)).toEqual([]);
  });

  it("is followed, once there is a booking, by a completion that finds it through the index of orphans", async () => {
    const { rows } = await sql.query<{ id: string }>(
      "select id from lead where workspace_id = $1 and status = 'new' limit 3",
      [workspaceId],
    );
    for (const { id } of rows) await book(id);
    const plans = await plansOf({ only: ["backstop"], workspaceId });
    const completing = plans.filter((plan) => plan.includes("Update on follow_up_instance"));
    expect(completing).toHaveLength(1);
    expect(completing.join()).toMatch(/Index Scan using follow_up_instance_orphan on follow_up_instance/);
  });

  /** Query plans of a run's statements on leads and instances, each executed again and rolled back. */
  async function plansOf(event: unknown): Promise<readonly string[]> {
    const statements = await statementsOf(event);
    const telling = statements.filter(({ text }) =>
      /^\s*(select|with|update)\s.*\b(lead|follow_up_instance|touch)\b/s.test(text),
    );
    return Promise.all(telling.map(explain));
  }

  interface Statement {
    readonly text: string;
    readonly values: readonly unknown[];
  }

  /** A worker's statements as pg sends them. */
  async function statementsOf(event: unknown): Promise<readonly Statement[]> {
    const seen: Statement[] = [];
    const worker = openRunner(database.url);
    worker.ports.database.pool.on("connect", (client) => {
      const query = client.query.bind(client);
      const remember = (statement: pg.QueryConfig | string, values: unknown, ...rest: unknown[]) => {
        const config = typeof statement === "string" ? { text: statement } : statement;
        seen.push({ text: config.text, values: Array.isArray(values) ? values : (config.values ?? []) });
        return Reflect.apply(query, client, [statement, values, ...rest]);
      };
      Object.assign(client, { query: remember });
    });
    expect(await worker.run(event)).toMatchObject({ success: true });
    await worker.close();
    return seen;
  }

  async function explain({ text, values }: Statement): Promise<string> {
    const transaction = await openTransaction(sql);
    const { rows } = await transaction.query<{ "QUERY PLAN": string }>(`explain (analyze, buffers) ${text}`, [
      ...values,
    ]);
    await transaction.rollback();
    const lines = rows.map((row) => row["QUERY PLAN"]);
    return lines.slice(0, lines.indexOf("Planning:")).join("\n");
  }

  /** Most pages read by any plan node, including its children. */
  function pagesTouched(plan: string): number {
    const buffers = [...plan.matchAll(/Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/g)];
    return Math.max(0, ...buffers.map(([, hit = 0, read = 0]) => Number(hit) + Number(read)));
  }

  interface Live {
    readonly sequence: Sequence;
    readonly postBooking: boolean;
    readonly count: number;
  }

  async function addLive({ sequence, postBooking, count }: Live): Promise<void> {
    await sql.query(
      `with lead as (
         insert into lead (workspace_id, status)
         select $1, (case when $3 then 'meeting-booked' else 'new' end)::lead_status from generate_series(1, $4)
         returning id)
       insert into follow_up_instance (workspace_id, lead_id, sequence_id, lead_booked, post_booking, status, next_step_due)
       select $1, id, $2, $3, $3, 'active', $5 from lead`,
      [workspaceId, sequence.id, postBooking, count, FAR_AHEAD],
    );
  }
});
