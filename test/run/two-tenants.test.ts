import { beforeEach, describe, expect, it } from "@jest/globals";
import {
  addAppointment,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  rowsOf,
} from "../support/factories.ts";
import { clockAt, useRunner } from "../support/run.ts";

/** A Monday. */
const NOW = new Date("2030-01-07T09:00:00Z");

const { sql, runner } = await useRunner({ empty: true });
let one: Tenant;
let other: Tenant;

beforeEach(async () => {
  one = await addTenant();
  other = await addTenant();
});

interface Tenant {
  readonly id: string;
  readonly due: string;
  readonly booked: string;
}

/** Adds a tenant that equals the other in all but its keys: one lead is due, one booked, one has a leftover touch. */
async function addTenant(): Promise<Tenant> {
  const id = await addWorkspace(sql, { gap_minutes: 60 });
  const chase = await addSequence(sql, id, { name: "Chase", steps: [{}, {}] });
  const due = await addLead(sql, id, { email: "ada@example.test" });
  await addInstance(sql, due, chase.id);
  const booked = await addLead(sql, id, { email: "eve@example.test" });
  await addInstance(sql, booked, chase.id, { next_step_due: FAR_AHEAD });
  await addAppointment(sql, booked, { external_id: "meeting-1" });
  const left = await addLead(sql, id, { email: "bob@example.test" });
  const instanceId = await addInstance(sql, left, chase.id, { next_step_due: FAR_AHEAD });
  await addTouch(sql, instanceId, chase.steps[0] ?? "", {
    next_attempt_at: LONG_AGO,
    recheck_at: LONG_AGO,
    send_until: FAR_AHEAD,
  });
  const snoozed = await addLead(sql, id, { email: "dan@example.test" });
  await addInstance(sql, snoozed, chase.id, {
    status: "paused",
    paused_reason: "lead_snoozed",
    recheck_at: LONG_AGO,
  });
  return { id, due, booked };
}

const run = (event: Columns = {}) => runner.run(event, clockAt(NOW));
const sentTo = ({ id }: Tenant) => runner.channel.sentTo(id).length;

describe("of two tenants with the same in every field that is no key", () => {
  it("a run for one tenant does the same for it as a run for all, and changes no row of the other", async () => {
    const before = await rowsOf(sql, other.id);
    const report = await run({ workspaceId: one.id });
    expect(report).toMatchObject({
      success: true,
      backstop: { completedCount: 1, byWorkspace: { [one.id]: 1 } },
      snoozed: { resumed: 1 },
      recovered: { takenUp: 1, delivery: { sent: 1 } },
    });
    expect(await rowsOf(sql, other.id)).toEqual(before);
    expect([sentTo(one), sentTo(other)]).toEqual([3, 0]);

    expect(await run({ workspaceId: other.id })).toMatchObject({ backstop: { byWorkspace: { [other.id]: 1 } } });
    expect([sentTo(one), sentTo(other)]).toEqual([3, 3]);
  });

  it("a run for all does the same for both, and each send belongs to a lead of its own tenant", async () => {
    expect(await run()).toMatchObject({
      success: true,
      backstop: { completedCount: 2, byWorkspace: { [one.id]: 1, [other.id]: 1 } },
      snoozed: { resumed: 2 },
    });
    expect([sentTo(one), sentTo(other)]).toEqual([3, 3]);
    const { rows } = await sql.query<{ id: string; workspace_id: string }>("select id, workspace_id from lead");
    const owners = new Map(rows.map(({ id, workspace_id }) => [id, workspace_id]));
    expect(runner.channel.sent.filter(({ leadId, workspaceId }) => owners.get(leadId) !== workspaceId)).toEqual([]);
  });

  /** The number of its three touches that are still sent: a touch decided earlier keeps its send window. */
  it.each([
    ["a pause", "update workspace set paused_at = now() where id = $1", 0],
    ["a holiday", "update workspace set own_holidays = '{2030-01-07}' where id = $1", 1],
    ["a window", "update workspace set window_days = '{2}' where id = $1", 1],
    ["a cap", "update workspace set daily_cap = 1 where id = $1", 2],
    [
      "a booking",
      "update lead set status = 'meeting-booked' where workspace_id = $1 and email = 'ada@example.test'",
      2,
    ],
    ["an opt-out", "update lead set opted_out_at = now() where workspace_id = $1 and email = 'ada@example.test'", 2],
    ["a reply", "update lead set last_inbound_at = now() where workspace_id = $1 and email = 'ada@example.test'", 2],
    [
      "an e-mail of today",
      "update lead set last_outbound_at = '2030-01-07T08:30Z', last_email_at = '2030-01-07T08:30Z' where workspace_id = $1 and email = 'ada@example.test'",
      2,
    ],
    ["a sequence that is off", "update follow_up_sequence set active = false where workspace_id = $1", 0],
  ])("%s of one tenant blocks only its own touches", async (_, statement, sent) => {
    await sql.query(statement, [one.id]);
    expect(await run()).toMatchObject({ success: true });
    expect([sentTo(one), sentTo(other)]).toEqual([sent, 3]);
  });

  it("the use of one tenant's cap does not count for the other's", async () => {
    await sql.query("update workspace set daily_cap = 2");
    await run({ workspaceId: one.id });
    const { rows } = await sql.query("select id, cap_used from workspace order by id = $1 desc", [one.id]);
    expect(rows).toEqual([
      { id: one.id, cap_used: 2 },
      { id: other.id, cap_used: 0 },
    ]);
    await run();
    expect([sentTo(one), sentTo(other)]).toEqual([3, 3]);
  });
});
