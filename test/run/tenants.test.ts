import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import {
  addAppointment,
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  FAR_AHEAD,
  LONG_AGO,
  rowsOf,
  type Sequence,
} from "../support/factories.ts";
import { openPool, openRunner, openTransaction, type Runner, rollbackLeftOpen } from "../support/run.ts";

let database: TestDatabase;
let sql: pg.Pool;
let runner: Runner;

beforeAll(async () => {
  database = await createDatabase();
  sql = openPool(database.url);
  runner = openRunner(database.url);
});
beforeEach(async () => {
  await rollbackLeftOpen();
  await sql.query("truncate workspace, run cascade");
  runner.channel.sent.length = 0;
});
afterAll(async () => {
  await runner.close();
  await sql.end();
  await database.drop();
});

/** Many leads with one due instance each, in one statement. */
async function addDue(workspaceId: string, sequence: Sequence, count: number): Promise<void> {
  await sql.query(
    `with numbered as (select uuid_v7() as lead_id, number from generate_series(1, $3::int) as number),
          led as (insert into lead (workspace_id, id, first_name, email)
                  select $1, lead_id, 'Ada', 'ada@example.test' from numbered)
     insert into follow_up_instance (workspace_id, lead_id, sequence_id, status, next_step_due)
     select $1, lead_id, $2, 'active', $4::timestamptz + number * interval '1 second' from numbered`,
    [workspaceId, sequence.id, count, LONG_AGO],
  );
}

describe("two tenants that are alike in everything but their keys", () => {
  /** The same names, addresses, texts, calendar ids: of each one lead due, one booked, one with a retry. */
  async function addTwin(columns = {}) {
    const workspaceId = await addWorkspace(sql, { name: "Twin", ...columns });
    const chase = await addSequence(sql, workspaceId, { name: "Chase" });
    await addFollowedLead(sql, workspaceId, chase.id);
    const meeting = await addLead(sql, workspaceId);
    await addInstance(sql, meeting, chase.id);
    await addAppointment(sql, meeting, { external_id: "the-same-meeting" });
    const retry = await addFollowedLead(sql, workspaceId, chase.id, { instance: { status: "completed" } });
    const due = { next_attempt_at: LONG_AGO, look_again_at: LONG_AGO, send_until: FAR_AHEAD };
    await addTouch(sql, retry.instanceId, chase.steps[0] ?? "", due);
    return workspaceId;
  }

  it("do not touch each other: a run for the one leaves every row of the other as it is", async () => {
    const [one, other] = [await addTwin(), await addTwin()];
    const before = await rowsOf(sql, other);
    const report = await runner.run({ workspaceId: one });
    expect(report).toMatchObject({
      backstop: { completedCount: 1, byWorkspace: { [one]: 1 } },
      results: { due: 1, delivery: { sent: 1 } },
      recovered: { takenUp: 1, delivery: { sent: 1 } },
    });
    expect(await rowsOf(sql, other)).toEqual(before);
    expect(new Set(runner.channel.sent.map(({ workspaceId }) => workspaceId))).toEqual(new Set([one]));
    expect(await runner.run()).toMatchObject({ backstop: { byWorkspace: { [other]: 1 } }, results: { due: 1 } });
  });

  it("have caps, pauses and send windows of their own", async () => {
    const capped = await addTwin({ daily_cap: 1, cap_used: 1, cap_day: "2030-01-07" });
    const paused = await addTwin({ paused_at: LONG_AGO });
    const shut = await addTwin({ window_start: "03:00", window_end: "04:00" });
    const open = await addTwin();
    const report = await runner.run({}, { now: () => Promise.resolve(new Date("2030-01-07T12:00:00Z")) });
    expect(report.results?.reasons).toEqual({
      daily_cap_reached: 1,
      workspace_paused: 1,
      outside_send_window: 1,
      ready: 1,
    });
    const sentTo = (workspaceId: string) => runner.channel.sentTo(workspaceId).length;
    // A retry has had its place in the cap, and its window was open when it was decided on.
    expect([capped, paused, shut, open].map(sentTo)).toEqual([1, 0, 1, 2]);
  });

  it("use up their caps alone, however many runs claim at once", async () => {
    const capped = await addWorkspace(sql, { daily_cap: 25, time_zone: "Pacific/Auckland" });
    const free = await addWorkspace(sql);
    for (const workspaceId of [capped, free]) await addDue(workspaceId, await addSequence(sql, workspaceId), 60);
    const runners = [openRunner(database.url), openRunner(database.url), runner];
    const noLock = {
      tryAcquire: () => Promise.resolve({ pid: 0, isHeld: () => true, release: async () => undefined }),
      holder: async () => undefined,
    };
    const settings = { batchSize: 10, claimers: 2 };
    await Promise.all(runners.map((each) => each.run({}, { lock: noLock, settings })));
    const sent = runners.flatMap(({ channel }) => channel.sent);
    expect(sent.filter(({ workspaceId }) => workspaceId === capped)).toHaveLength(25);
    expect(sent.filter(({ workspaceId }) => workspaceId === free)).toHaveLength(60);
    const { rows } = await sql.query("select cap_used from workspace where id = $1", [capped]);
    expect(rows).toEqual([{ cap_used: 25 }]);
    for (const each of runners.slice(0, 2)) await each.close();
  });
});

describe("fairness", () => {
  it("gives a workspace with 10 due its share in the first batch beside one with 5,000, and beside 150 others", async () => {
    const large = await addWorkspace(sql);
    await addDue(large, await addSequence(sql, large), 5_000);
    const small: string[] = [];
    for (let count = 0; count < 151; count++) {
      const workspaceId = await addWorkspace(sql);
      await addDue(workspaceId, await addSequence(sql, workspaceId), count === 0 ? 10 : 1);
      small.push(workspaceId);
    }
    const claimed: string[][] = [];
    const store = {
      ...runner.ports.store,
      claimDue: (
        query: Parameters<typeof runner.ports.store.claimDue>[0],
        plan: Parameters<typeof runner.ports.store.claimDue>[1],
      ) => {
        const batch: string[] = [];
        claimed.push(batch);
        return runner.ports.store.claimDue(query, (candidate) => {
          batch.push(candidate.workspaceId);
          return plan(candidate);
        });
      },
    };
    const report = await runner.run({ limit: 2_000 }, { store });
    // Two batches serve all 152 once; the one with ten has had all of them by then.
    const first = claimed.slice(0, 2).flat();
    expect(new Set(first).size).toBe(152);
    expect(first.filter((workspaceId) => workspaceId === small[0]).length).toBeGreaterThanOrEqual(5);
    expect(report.results).toMatchObject({ due: 2_000, backlog: 3_160 });
    expect(Object.keys(report.results?.oldestDueSecondsByWorkspace ?? {})).toHaveLength(50);
  });

  it("lets those go that may, behind ten times as many that may not, for whatever reason", async () => {
    const workspaceId = await addWorkspace(sql, { gap_minutes: 60 });
    const chase = await addSequence(sql, workspaceId);
    const waiting = [
      { lead: { last_outbound_at: new Date(Date.now() - 60_000) } },
      { lead: { last_email_at: new Date() } },
      { lead: { time_zone: "Mars/Olympus_Mons" } },
      { lead: { snoozed_until: FAR_AHEAD } },
      { lead: { automation_enabled: false } },
    ];
    for (let count = 0; count < 100; count++) {
      await addFollowedLead(sql, workspaceId, chase.id, {
        ...waiting[count % waiting.length],
        instance: { next_step_due: LONG_AGO },
      });
    }
    const later = { instance: { next_step_due: new Date(LONG_AGO.getTime() + 60_000) } };
    for (let count = 0; count < 10; count++) await addFollowedLead(sql, workspaceId, chase.id, later);
    const locked = await openTransaction(sql);
    await locked.query("select from follow_up_instance order by next_step_due, id limit 20 for update");
    const { results } = await runner.run({}, { settings: { batchSize: 7 } });
    expect(results).toMatchObject({ due: 90, claimed: 10, delivery: { sent: 10 }, backlog: 20 });
    await locked.rollback();
    expect((await runner.run()).results).toMatchObject({ due: 20, claimed: 0, backlog: 0 });
  });
});
