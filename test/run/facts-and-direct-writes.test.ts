import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { completeFollowUpsForMeetingBookedLeads } from "../../lib/store/backstop.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, type Columns } from "../support/factories.ts";
import { aMeeting, hoursAgo, tell } from "../support/facts.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();

/** Two leads that share a mailbox, both chased, each with an unsent touch. */
async function twoLeads() {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
  await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  await addSequence(sql, workspaceId, { trigger_on: "meeting_missed" });
  const leads: string[] = [];
  for (const email of ["both@mailbox.test", "Both@mailbox.test"]) {
    const instance = { started_at: hoursAgo(100) };
    const followed = await addFollowedLead(sql, workspaceId, chase.id, { lead: { email }, instance });
    await addTouch(sql, followed.instanceId, chase.steps[0] ?? "");
    leads.push(followed.leadId);
  }
  return { workspaceId, leads };
}

const fact = (workspaceId: string, type: string, detail: Columns) =>
  tell(onPool(sql), type, { workspaceId, lead: { email: "both@mailbox.test" }, ...detail });

const STATUSES = ["new", "qualified", "meeting-booked", "blacklisted", "not-interested"];
const WRITES = [
  "update appointment set status = 'cancelled' where workspace_id = $1 and lead_id = $2",
  "update appointment set status = 'missed' where workspace_id = $1 and lead_id = $2",
  "update appointment set status = 'confirmed' where workspace_id = $1 and lead_id = $2",
  "delete from appointment where workspace_id = $1 and lead_id = $2",
  "update lead set booked_at = null where workspace_id = $1 and id = $2",
  ...STATUSES.map((status) => `update lead set status = '${status}' where workspace_id = $1 and id = $2`),
];

const change = fc.oneof(
  fc.record({
    type: fc.constantFrom("meeting.booked", "meeting.rescheduled", "meeting.cancelled", "meeting.missed"),
    meeting: fc.constantFrom("one", "two"),
    days: fc.constantFrom(-1, 2, 3),
    hours: fc.integer({ min: 1, max: 50 }),
    replaces: fc.constantFrom(undefined, "one"),
  }),
  fc.record({ write: fc.constantFrom(...WRITES), lead: fc.constantFrom(0, 1) }),
  fc.constant("run" as const),
);

type Change = typeof change extends fc.Arbitrary<infer Made> ? Made : never;

async function make(one: Change, { workspaceId, leads }: Awaited<ReturnType<typeof twoLeads>>): Promise<void> {
  if (one === "run") {
    await completeFollowUpsForMeetingBookedLeads(onPool(sql), { workspaceId });
    return;
  }
  if ("write" in one) {
    await sql.query(one.write, [workspaceId, leads[one.lead]]);
    return;
  }
  const moves = one.type === "meeting.rescheduled" && one.meeting === "two" && one.replaces !== undefined;
  const meeting = aMeeting(one.meeting, one.days);
  const detail = { meeting, occurredAt: hoursAgo(one.hours), ...(moves && { replaces: one.replaces }) };
  await fact(workspaceId, one.type, detail);
}

it("after any facts and direct writes, one run leaves no chase of a booked lead and no preparation without a meeting", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
      const setting = await twoLeads();
      const { workspaceId } = setting;
      for (const one of changes) await make(one, setting);
      await completeFollowUpsForMeetingBookedLeads(onPool(sql), { workspaceId });
      const { rows } = await sql.query(
        `select lead.status, is_booked, post_booking, instance.status as instance, stop_cause,
                (select count(*)::int from touch where instance_id = instance.id and touch.status = 'claimed') as unsent
           from lead left join follow_up_instance as instance on instance.lead_id = lead.id
          where lead.workspace_id = $1
            and (stop_cause is not null
                 or (instance.status in ('active', 'paused') and (
                       lead.status in ('blacklisted', 'not-interested')
                       or (is_booked and not post_booking)
                       or (post_booking and not exists (
                             select from appointment where lead_id = lead.id and status = 'confirmed' and ends_at > now())))))`,
        [workspaceId],
      );
      expect(rows).toEqual([]);
    }),
    { numRuns: 60 },
  );
}, 120_000);

it("a meeting that a fact moves into the past prepares nothing more, also after a later fact of another past meeting", async () => {
  const { workspaceId } = await twoLeads();
  await fact(workspaceId, "meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
  await fact(workspaceId, "meeting.booked", { meeting: aMeeting("two", -1), occurredAt: hoursAgo(1) });
  const moved = { meeting: aMeeting("one", -1), occurredAt: hoursAgo(2) };
  expect(await fact(workspaceId, "meeting.booked", moved)).toMatchObject({ outcome: "applied", ended: 1 });
});

it("a status that books a lead again by hand does not keep the preparation of its cancelled meeting", async () => {
  const setting = await twoLeads();
  const { workspaceId, leads } = setting;
  await fact(workspaceId, "meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
  const prepared = async () =>
    (
      await sql.query(
        "select status::text from follow_up_instance where workspace_id = $1 and lead_id = $2 and post_booking",
        [workspaceId, leads[0]],
      )
    ).rows;
  expect(await prepared()).toEqual([{ status: "active" }]);
  for (const write of [
    "update lead set status = 'not-interested' where workspace_id = $1 and id = $2",
    "update appointment set status = 'cancelled' where workspace_id = $1 and lead_id = $2",
    "update lead set status = 'meeting-booked' where workspace_id = $1 and id = $2",
  ]) {
    await make({ write, lead: 0 }, setting);
  }
  await make("run", setting);
  expect(await prepared()).toEqual([{ status: "cancelled" }]);
});

it("a meeting that a fact moves into the past prepares nothing more, as after a direct write", async () => {
  const { workspaceId } = await twoLeads();
  await fact(workspaceId, "meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
  const moved = await fact(workspaceId, "meeting.rescheduled", {
    meeting: aMeeting("one", -1),
    occurredAt: hoursAgo(2),
  });
  expect(moved).toMatchObject({ outcome: "applied", ended: 1, started: 0 });
});

it("a booking by a shared address beside a direct write to one of the leads neither deadlocks nor misses the other", async () => {
  const { workspaceId, leads } = await twoLeads();
  const writing = await openTransaction(sql);
  await writing.query("update lead set status = 'qualified' where id = $1", [leads[1]]);
  const booking = fact(workspaceId, "meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(1) });
  await untilBlockedBy(sql, writing.pid);
  await writing.commit();
  expect(await booking).toMatchObject({ outcome: "applied", ended: 2, started: 1 });
});

it("the same meeting that is cancelled by a fact and by a direct write at once is cancelled for both leads", async () => {
  const { workspaceId, leads } = await twoLeads();
  await fact(workspaceId, "meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
  const writing = await openTransaction(sql);
  await writing.query("update appointment set status = 'cancelled' where lead_id = $1", [leads[0]]);
  const cancelling = fact(workspaceId, "meeting.cancelled", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
  await untilBlockedBy(sql, writing.pid);
  await writing.commit();
  expect(await cancelling).toMatchObject({ outcome: "applied" });
  await completeFollowUpsForMeetingBookedLeads(onPool(sql), { workspaceId });
  const { rows } = await sql.query(
    "select status::text from follow_up_instance where workspace_id = $1 and status in ('active', 'paused')",
    [workspaceId],
  );
  expect(rows).toEqual([]);
});
