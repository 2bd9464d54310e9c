import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { onPool } from "../../lib/store/sql.ts";
import { atEnd } from "../support/at-end.ts";
import { addWorkspace, type Columns } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";

const { database: testDatabase, sql, runner } = await useRunner({ empty: true });
const database = openDatabase({ connectionString: testDatabase.url });
atEnd(() => database.close());
const db = onPool(database.pool);

let workspaceId: string;
beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
});

const swept = (hours: number, changes: Columns = {}) =>
  tell(db, "connection.swept", {
    workspaceId,
    eventId: `swept-${hours}-${changes["fault"] ?? ""}`,
    occurredAt: hoursAgo(hours),
    tool: "calendly",
    window: "hot",
    seen: 3,
    changed: 1,
    fault: null,
    ...changes,
  });

const rows = async () =>
  (await sql.query("select * from connection_sweep order by workspace_id, tool, sweep_window")).rows;
const told = async () =>
  (await sql.query("select detail from notification_event where kind = 'connection_failing' order by id")).rows.map(
    ({ detail }) => String(detail),
  );
const age = async () => (await runner.run()).backstop?.sweepAgeSeconds;

long.it("leaves the same row, whatever the order of the sweeps and however often they arrive", async () => {
  const sweep = fc.record({
    minute: fc.integer({ min: 0, max: 5 }),
    fault: fc.constantFrom(null, "unavailable", "throttled"),
    seen: fc.integer({ min: 0, max: 2 }),
  });
  const start = Date.now() - 3_600_000;
  const apply = async (sweeps: readonly { minute: number; fault: string | null; seen: number }[]) => {
    await sql.query("delete from connection_sweep");
    for (const { minute, fault, seen } of sweeps)
      await swept(0, { occurredAt: new Date(start + minute * 60_000).toISOString(), fault, seen });
    return (await rows()).map(({ told_since, ...row }) => row);
  };
  await fc.assert(
    fc.asyncProperty(fc.array(sweep, { minLength: 1, maxLength: 6 }), fc.integer(), async (sweeps, seed) => {
      const shuffled = [...sweeps, ...sweeps].sort(
        (one, other) => ((one.minute * 7 + one.seen * 3 + seed) % 5) - (other.minute % 3),
      );
      expect(await apply(shuffled)).toEqual(await apply(sweeps));
    }),
    { numRuns: 25 },
  );
});

describe("the age of the comparison", () => {
  it("is unknown without a connection, and that of the oldest one otherwise", async () => {
    expect(await age()).toBeNull();
    await swept(1);
    expect(await age()).toBeCloseTo(3_600, -2);
    await swept(2, { tool: "calcom" });
    expect(await age()).toBeCloseTo(7_200, -2);
    await swept(0, { tool: "calcom" });
    expect(await age()).toBeCloseTo(3_600, -2);
  });

  it("grows while sweeps fail, counts only soon meetings, and forgets a connection that reports nothing for a day", async () => {
    await swept(3);
    await swept(0, { fault: "unavailable" });
    await swept(9, { window: "warm" });
    expect(await age()).toBeCloseTo(10_800, -2);
    await swept(30, { tool: "gohighlevel" });
    expect(await age()).toBeCloseTo(10_800, -2);
  });

  it("counts a clock that is ahead as now", async () => {
    await swept(-1);
    expect(await age()).toBeLessThan(60);
    expect((await rows())[0].tried_at.getTime()).toBeLessThanOrEqual(Date.now());
  });

  it("is not affected by the sweeps of another workspace, and an unknown one fills no queue", async () => {
    await swept(1);
    const other = await addWorkspace(sql);
    await swept(2, { workspaceId: other });
    expect((await runner.run({ workspaceId })).backstop?.sweepAgeSeconds).toBeCloseTo(3_600, -2);
    expect(await swept(1, { workspaceId: "01999999-0000-7000-8000-000000000000" })).toMatchObject({ outcome: "stale" });
  });
});

describe("the digest", () => {
  it("is told once of a connection that fails for an hour, and again after it had recovered", async () => {
    await swept(5);
    await swept(4.5, { fault: "unavailable" });
    expect(await told()).toEqual([]);
    await swept(3.9, { fault: "unavailable" });
    await swept(3, { fault: "unavailable" });
    expect(await told()).toEqual([expect.stringMatching(/^Calendly was last read at .*: the tool does not answer$/)]);
    await swept(2);
    await swept(1.9, { fault: "unavailable" });
    expect(await told()).toHaveLength(1);
    await swept(0.5, { fault: "unavailable" });
    expect(await told()).toHaveLength(2);
  });

  it("is told at once of a token that is refused", async () => {
    await swept(0.1);
    await swept(0, { fault: "unauthorised" });
    expect(await told()).toEqual([expect.stringContaining("store a new one")]);
  });
});

it("is shown with the workspace, in words", async () => {
  await swept(0.1);
  await swept(0, { fault: "unauthorised" });
  const { answer } = JSON.parse(
    JSON.stringify(await answerQuestion(sql, { question: "workspaces show", input: { workspace: workspaceId } })),
  );
  expect(answer.sweeps).toEqual([
    expect.objectContaining({
      tool: "calendly",
      window: "hot",
      fault: "unauthorised",
      text: expect.stringMatching(
        /^Calendly, meetings that start soon: compared [67] min ago; since then the tool refuses/,
      ),
    }),
  ]);
});
