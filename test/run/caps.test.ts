import { describe, expect, it, jest } from "@jest/globals";
import type { DueCandidate } from "../../lib/run/claim-ports.ts";
import { planBatch } from "../../lib/run/plan.ts";
import { claimDue } from "../../lib/store/claim.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addWorkspaceWithDue } from "../support/due.ts";
import { long } from "../support/long.ts";
import { noLock, openRunner, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";
import { openPool } from "../support/use-database.ts";

const NOW = new Date("2030-01-07T09:00:00Z");

const { database, sql, runner } = await useRunner({ empty: true });

describe("the caps of two tenants", () => {
  long.it("are used up separately, however many runs claim concurrently", async () => {
    const capped = await addWorkspaceWithDue(sql, 60, { daily_cap: 25, time_zone: "Pacific/Auckland" });
    const free = await addWorkspaceWithDue(sql, 60);
    const runners = [openRunner(database.url), openRunner(database.url), runner];
    const settings = { batchSize: 10, claimers: 2 };
    await Promise.all(runners.map((each) => each.run({}, { lock: noLock, settings })));
    const sent = runners.flatMap(({ channel }) => channel.sent);
    expect(sent.filter(({ workspaceId }) => workspaceId === capped)).toHaveLength(25);
    expect(sent.filter(({ workspaceId }) => workspaceId === free)).toHaveLength(60);
    const { rows } = await sql.query("select cap_used from workspace where id = $1", [capped]);
    expect(rows).toEqual([{ cap_used: 25 }]);
    for (const each of runners.slice(0, 2)) await each.close();
  });

  long.it("skip a workspace that is locked; it is served by the next run", async () => {
    const held = await addWorkspaceWithDue(sql, 3, { daily_cap: 25 });
    const free = await addWorkspaceWithDue(sql, 3, { daily_cap: 25 });
    const forgotten = await openTransaction(sql);
    await forgotten.query("update workspace set name = 'Renamed' where id = $1", [held]);
    const { results } = await runner.run();
    expect(runner.channel.sent.map(({ workspaceId }) => workspaceId)).toEqual([free, free, free]);
    expect(results).toMatchObject({ claimed: 3, backlog: 3 });
    await forgotten.commit();
    await runner.run();
    expect(runner.channel.sent.filter(({ workspaceId }) => workspaceId === held)).toHaveLength(3);
  });

  it("do not retry if another table is locked: the claim fails, and nothing is decided twice", async () => {
    const workspaceId = await addWorkspaceWithDue(sql, 3, { daily_cap: 25 });
    const impatient = new URL(database.url);
    impatient.searchParams.set("options", "-c lock_timeout=100ms");
    const pool = openPool(impatient.href);
    const forgotten = await openTransaction(sql);
    await forgotten.query("lock table touch in share mode");
    const plan = jest.fn((candidates: readonly DueCandidate[]) => planBatch(candidates, NOW).plans);
    const query = { now: NOW, recheckAt: NOW, share: 10 };
    const claim = () =>
      claimDue(onPool(pool), { ...query, workspaces: [{ id: workspaceId, capped: true, after: null }] }, plan);
    await expect(claim()).rejects.toMatchObject({ code: "55P03" });
    expect(plan).toHaveBeenCalledTimes(1);
    await forgotten.rollback();
    await expect(claim()).resolves.toHaveLength(3);
    await pool.end();
  });
});
