import { beforeAll, describe, expect, it } from "@jest/globals";
import { addDue } from "../support/due.ts";
import {
  addFollowedLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
} from "../support/factories.ts";
import { long } from "../support/long.ts";
import { clockAt, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

/** A Monday. */
const NOW = new Date("2030-01-07T09:00:00Z");
const MAY_GO = 10;
const MAY_NOT = 10 * MAY_GO;
const BATCH = { batchSize: 20 };

const { sql, runner } = await useRunner({ empty: true });

beforeAll(async () => {
  await sql.query("alter type step_condition add value 'moon_is_full'");
  await sql.query("alter type lead_status add value 'won'");
});

const run = () => runner.run({}, { ...clockAt(NOW), settings: BATCH });
const shutOn = (day: string) => ({ own_holidays: [day] });

interface Obstacle {
  readonly reason: string;
  readonly counted?: "held" | "paused";
  readonly workspace?: Columns;
  readonly sequence?: Columns;
  readonly step?: Columns;
  readonly lead?: Columns;
}

/** Conditions, each of which alone blocks a step. */
const OBSTACLES: readonly Obstacle[] = [
  { reason: "workspace_paused", workspace: { paused_at: LONG_AGO } },
  { reason: "sequence_inactive", sequence: { active: false } },
  { reason: "invalid_time_zone", lead: { time_zone: "Mars/Olympus" } },
  { reason: "invalid_send_times", workspace: { holiday_country: "XX" } },
  {
    reason: "no_opening",
    workspace: { window_days: [6], window_start: "00:00", window_end: "00:01", own_holidays: saturdays() },
  },
  { reason: "outside_send_window", workspace: { window_start: "10:00", window_end: "17:00" } },
  { reason: "closed_day", workspace: { window_days: [2] } },
  { reason: "holiday", workspace: shutOn("2030-01-07") },
  { reason: "too_soon", workspace: { gap_minutes: 60 }, lead: { last_outbound_at: "2030-01-07T08:30Z" } },
  { reason: "channel_used_today", lead: { last_outbound_at: "2030-01-07T08:30Z", last_email_at: "2030-01-07T08:30Z" } },
  { reason: "daily_cap_reached", workspace: { daily_cap: 1, cap_day: "2030-01-07", cap_used: 1 } },
  { reason: "unknown_condition", step: { condition: "moon_is_full" } },
  { reason: "invalid_template", step: { body: "Hello {{ lead.first_name" } },
  { reason: "unreadable_row", lead: { status: "won" } },
  { reason: "lead_replied", counted: "paused", lead: { last_inbound_at: LONG_AGO, last_outbound_at: null } },
  { reason: "lead_snoozed", counted: "paused", lead: { snoozed_until: FAR_AHEAD } },
  { reason: "missing_data", counted: "paused", step: { body: "How is {{ lead.company }}?" } },
];

/** 60 Saturdays: all of more than a year from NOW. */
function saturdays(): readonly string[] {
  return Array.from({ length: 60 }, (_, week) => new Date(Date.UTC(2030, 0, 5 + 7 * week)).toISOString().slice(0, 10));
}

async function addObstructed({ workspace, sequence, step, lead = {} }: Obstacle, workspaceId: string) {
  const own = workspace ? await addWorkspace(sql, workspace) : workspaceId;
  const { id, steps } = await addSequence(sql, own, { ...sequence, steps: [step ?? {}] });
  const instances: string[] = [];
  for (let number = 0; number < MAY_NOT; number++) {
    instances.push((await addFollowedLead(sql, own, id, { lead })).instanceId);
  }
  return { instances, stepId: steps[0] ?? "" };
}

describe("ten times as many due steps that may not go, due before those that may", () => {
  long.it.each(OBSTACLES)("do not keep these from going in the same run: $reason", async (obstacle) => {
    const workspaceId = await addWorkspace(sql);
    await addObstructed(obstacle, workspaceId);
    await addDue(sql, MAY_GO, workspaceId, await addSequence(sql, workspaceId), new Date(NOW.getTime() - 60_000));

    const { success, results } = await run();

    expect(success).toBe(true);
    expect(results?.reasons).toEqual({ [obstacle.reason]: MAY_NOT, ready: MAY_GO });
    expect(results).toMatchObject({ [obstacle.counted ?? "held"]: MAY_NOT, delivery: { sent: MAY_GO }, backlog: 0 });
    expect(runner.channel.sentTo(workspaceId)).toHaveLength(MAY_GO);
  });

  it("do not block them while another transaction has them locked, and go once they are free", async () => {
    const workspaceId = await addWorkspace(sql);
    const { instances } = await addObstructed({ reason: "locked" }, workspaceId);
    await addDue(sql, MAY_GO, workspaceId, await addSequence(sql, workspaceId), new Date(NOW.getTime() - 60_000));
    const holder = await openTransaction(sql);
    await holder.query("select from follow_up_instance where id = any($1::uuid[]) for update", [instances]);

    expect((await run()).results).toMatchObject({ due: MAY_GO, delivery: { sent: MAY_GO }, backlog: MAY_NOT });
    await holder.rollback();
    expect((await run()).results).toMatchObject({ due: MAY_NOT, delivery: { sent: MAY_NOT }, backlog: 0 });
  });
});

describe("ten times as many claimed touches that may not go, older than those that may", () => {
  const READY = { next_attempt_at: LONG_AGO, recheck_at: LONG_AGO, send_until: FAR_AHEAD };
  const LAST = { ...READY, recheck_at: new Date(NOW.getTime() - 60_000) };
  const DONE = { status: "completed", completed_reason: "out_of_steps", next_step_due: null };

  async function addClaimed(obstacle: Obstacle, touch: Columns = {}) {
    const workspaceId = await addWorkspace(sql);
    const { instances, stepId } = await addObstructed(obstacle, workspaceId);
    for (const instanceId of instances) await addTouch(sql, instanceId, stepId, { ...READY, ...touch });
    const { id, steps } = await addSequence(sql, workspaceId);
    for (let number = 0; number < MAY_GO; number++) {
      const { instanceId } = await addFollowedLead(sql, workspaceId, id, { instance: DONE });
      await addTouch(sql, instanceId, steps[0] ?? "", LAST);
    }
    await sql.query(
      "update follow_up_instance set status = 'completed', completed_reason = 'out_of_steps', completed_at = now(), next_step_due = null where status = 'active'",
    );
    return { workspaceId, instances };
  }

  long.it.each<Obstacle & { readonly touch?: Columns }>([
    { reason: "workspace_paused", workspace: { paused_at: LONG_AGO } },
    { reason: "sequence_inactive", sequence: { active: false } },
    { reason: "lead_snoozed", lead: { snoozed_until: FAR_AHEAD } },
    { reason: "outside_send_window", workspace: { window_days: [2] }, touch: { send_until: LONG_AGO } },
    { reason: "too_soon", workspace: { gap_minutes: 60 }, lead: { last_outbound_at: "2030-01-07T08:30Z" } },
  ])("do not keep these from going in the same run: $reason", async ({ touch, ...obstacle }) => {
    const { workspaceId } = await addClaimed(obstacle, touch);

    const { success, recovered } = await run();

    expect(success).toBe(true);
    const delivery = { sent: MAY_GO, deferred: MAY_NOT };
    expect(recovered).toMatchObject({ takenUp: MAY_NOT + MAY_GO, delivery });
    expect(runner.channel.sentTo(workspaceId)).toHaveLength(MAY_GO);
    const { rows } = await sql.query("select reason, count(*)::int from touch where status = 'claimed' group by 1");
    expect(rows).toEqual([{ reason: obstacle.reason, count: MAY_NOT }]);
  });

  it("do not block them while another transaction has them locked, and go once they are free", async () => {
    const { instances } = await addClaimed({ reason: "locked" });
    const holder = await openTransaction(sql);
    await holder.query("select from touch where instance_id = any($1::uuid[]) for update", [instances]);
    expect((await run()).recovered).toMatchObject({ takenUp: MAY_GO, delivery: { sent: MAY_GO } });
    await holder.rollback();
    expect((await run()).recovered).toMatchObject({ takenUp: MAY_NOT, delivery: { sent: MAY_NOT } });
  });
});
