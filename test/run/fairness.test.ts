import { describe, expect, it } from "@jest/globals";
import { addWorkspaceWithDue } from "../support/due.ts";
import { addInstance, addLead, addSequence, addWorkspace } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { clockAt, useRunner } from "../support/run.ts";

const NOW = new Date("2030-01-07T09:00:00Z");
const DAY_MS = 24 * 60 * 60_000;
/** Due time of the longest-waiting workspace. */
const A_MONTH_AGO = new Date(NOW.getTime() - 30 * DAY_MS);
const AN_HOUR_AGO = new Date(NOW.getTime() - 60 * 60_000);
const BATCH = { batchSize: 100 };

const { sql, runner } = await useRunner({ empty: true });

const runAt = (now: Date, changes = {}) => runner.run({}, { ...clockAt(now), settings: BATCH, ...changes });

/** Number of sends up to the last one for any of these workspaces. */
const servedAfter = (workspaceIds: readonly string[]): number => {
  const theirs = new Set(workspaceIds);
  return runner.channel.sent.findLastIndex(({ workspaceId }) => theirs.has(workspaceId)) + 1;
};

describe("a workspace with very many due steps", () => {
  long.it.each([1, 4])("delays one with ten by no more than a batch, with %d claimers", async (claimers) => {
    const many = await addWorkspaceWithDue(sql, 3_000, {}, A_MONTH_AGO);
    const few = await addWorkspaceWithDue(sql, 10, {}, AN_HOUR_AGO);
    const report = await runAt(NOW, { settings: { ...BATCH, claimers } });
    expect(report).toMatchObject({ success: true, results: { due: 3_010, backlog: 0, delivery: { sent: 3_010 } } });
    expect(runner.channel.sentTo(few)).toHaveLength(10);
    expect(servedAfter([few])).toBeLessThanOrEqual(10 + claimers * BATCH.batchSize);
    expect(servedAfter([many])).toBe(3_010);
  });

  long.it("delays each of a thousand with one by no more than one round of all of them", async () => {
    await addWorkspaceWithDue(sql, 3_000, {}, A_MONTH_AGO);
    const { rows } = await sql.query<{ workspace_id: string }>(
      `with added as (insert into workspace (name, email_from, window_days, window_start, window_end)
                      select 'Small', 'Sam <sam@small.test>', '{1,2,3,4,5,6,7}', '00:00', '24:00'
                        from generate_series(1, 1000) returning id),
            sequence as (insert into follow_up_sequence (workspace_id, name, trigger_on)
                         select id, 'Chase', 'no_response' from added returning id, workspace_id),
            step as (insert into follow_up_step (workspace_id, sequence_id, position, delay_minutes, channel, body)
                     select workspace_id, id, 1, 1440, 'sms', 'Hello' from sequence),
            led as (insert into lead (workspace_id, first_name, phone)
                    select id, 'Ada', '+4930123456' from added returning id, workspace_id)
       insert into follow_up_instance (workspace_id, lead_id, sequence_id, status, next_step_due)
       select workspace_id, led.id, sequence.id, 'active', $1 from led join sequence using (workspace_id)
       returning workspace_id`,
      [AN_HOUR_AGO],
    );
    const small = rows.map(({ workspace_id }) => workspace_id);
    expect(await runAt(NOW)).toMatchObject({ success: true, results: { due: 4_000, delivery: { sent: 4_000 } } });
    expect(small).toHaveLength(1_000);
    expect(servedAfter(small)).toBeLessThanOrEqual(1_001 + BATCH.batchSize);
  });
});

describe("a run without enough time", () => {
  long.it("stops in time and reports the backlog and its age; the next run continues", async () => {
    const many = await addWorkspaceWithDue(sql, 1_000, {}, A_MONTH_AGO);
    const few = await addWorkspaceWithDue(sql, 10, {}, AN_HOUR_AGO);
    const remainingMs = () => (runner.channel.sent.length < 250 ? 60_000 : 500);

    const first = await runAt(NOW, { remainingMs });

    const results = first.results;
    expect(first.errors).toEqual([]);
    expect(runner.channel.sent.length).toBeGreaterThanOrEqual(250);
    expect(runner.channel.sent.length).toBeLessThanOrEqual(250 + BATCH.batchSize);
    expect(results).toMatchObject({ backlog: 1_010 - runner.channel.sent.length });
    expect(results?.oldestDueSecondsByWorkspace).toEqual({ [many]: 30 * 86_400 - 1, [few]: 3_600 - 1 });
    expect(results?.oldestDueSeconds).toBe(30 * 86_400 - 1);
    expect(runner.channel.sentTo(few)).toHaveLength(10);

    const second = await runAt(new Date(NOW.getTime() + 60_000));
    expect(second).toMatchObject({ success: true, results: { backlog: 0 } });
    expect(runner.channel.sent).toHaveLength(1_010);
    expect(new Set(runner.channel.sent.map(({ id }) => id)).size).toBe(1_010);
  });
});

describe("after an outage", () => {
  it.each([1, 3, 40, 1_000])("of %d days, no lead gets more than one touch within the gap of a day", async (days) => {
    const workspaceId = await addWorkspace(sql, { gap_minutes: 24 * 60 });
    const sequences = [];
    for (const channel of ["email", "sms", "task"]) {
      sequences.push(await addSequence(sql, workspaceId, { steps: [{ channel }, { channel }] }));
    }
    const due = new Date(NOW.getTime() - days * DAY_MS);
    for (let number = 0; number < 10; number++) {
      const leadId = await addLead(sql, workspaceId);
      for (const { id } of sequences) await addInstance(sql, leadId, id, { next_step_due: due });
    }
    for (const minutes of [0, 1, 60, 24 * 60 - 1]) {
      expect(await runAt(new Date(NOW.getTime() + minutes * 60_000))).toMatchObject({ success: true });
      expect(runner.channel.sent).toHaveLength(10);
    }
    expect(new Set(runner.channel.sent.map(({ leadId }) => leadId)).size).toBe(10);
    await runAt(new Date(NOW.getTime() + DAY_MS));
    expect(runner.channel.sent).toHaveLength(20);
  });
});
