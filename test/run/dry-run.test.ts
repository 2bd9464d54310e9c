import { describe, expect, it } from "@jest/globals";
import type { RunPorts } from "../../lib/run/ports.ts";
import type { Report } from "../../lib/run/report.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addAppointment,
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  everyRow,
  FAR_AHEAD,
  LONG_AGO,
  type Sequence,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { openRunner, useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";
import { openPool } from "../support/use-database.ts";

/** Empty before each test, because a dry run and the real run after it see all workspaces. */
const { database, sql, runner } = await useRunner({ empty: true });

const EMAILS = [{}, {}, {}, {}];
const paused = (reason: string) => ({ status: "paused", paused_reason: reason, recheck_at: LONG_AGO });
const LEFT = { next_attempt_at: LONG_AGO, recheck_at: LONG_AGO, send_until: FAR_AHEAD };
const DEAD = { status: "sending", attempts: 1, last_attempt_at: LONG_AGO, recheck_at: LONG_AGO };

interface Scene {
  readonly workspaceId: string;
  readonly chase: Sequence;
  /** Rows of each kind that a run changes. */
  readonly rows: readonly (readonly [table: string, id: string])[];
}

/** Adds work for every step of a run, more than one batch each. */
async function addScene(): Promise<Scene> {
  const workspaceId = await addWorkspace(sql, { daily_cap: 7, digest_email: "team@example.test" });
  const chase = await addSequence(sql, workspaceId, { steps: EMAILS });
  const other = await addSequence(sql, workspaceId, { steps: EMAILS });
  const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected", steps: EMAILS });
  const rows: [string, string][] = [["workspace", workspaceId]];
  const follow = async (lead: Columns = {}, instance: Columns = {}, sequence = chase) => {
    const followed = await addFollowedLead(sql, workspaceId, sequence.id, { lead, instance });
    rows.push(["follow_up_instance", followed.instanceId], ["lead", followed.leadId]);
    return followed;
  };
  const later = { next_step_due: FAR_AHEAD, position: 3 };
  // Due steps: above the cap, two of one lead, an opted-out lead, an invalid zone, a step claimed before.
  for (let number = 0; number < 6; number++) await follow();
  const twice = await follow();
  await addInstance(sql, twice.leadId, other.id);
  await follow({ opted_out_at: LONG_AGO });
  await follow({ time_zone: "PST" });
  const before = await follow({}, { next_step_due: "2019-01-01" });
  await addTouch(sql, before.instanceId, chase.steps[0] ?? "", { status: "sent" });
  // Backstop: an orphan with an unsent touch, marks of direct writes, and a past meeting.
  const orphan = await follow();
  await addTouch(sql, orphan.instanceId, chase.steps[1] ?? "", { status: "awaiting_approval" });
  await sql.query("update lead set status = 'meeting-booked' where id = $1", [orphan.leadId]);
  const barred = await follow();
  await sql.query("update lead set status = 'unqualified' where id = $1", [barred.leadId]);
  const cancelled = await addLead(sql, workspaceId);
  await addAppointment(sql, cancelled);
  await addInstance(sql, cancelled, prepare.id);
  await sql.query("update appointment set status = 'cancelled' where lead_id = $1", [cancelled]);
  const met = await addLead(sql, workspaceId);
  await addAppointment(sql, met);
  await sql.query("update lead set booked_until = $2 where id = $1", [met, LONG_AGO]);
  // Pauses: some over, some not.
  for (let number = 0; number < 4; number++) await follow({}, paused("lead_snoozed"));
  await follow({ snoozed_until: FAR_AHEAD }, paused("lead_snoozed"));
  const answered = { last_inbound_at: LONG_AGO, last_outbound_at: new Date(LONG_AGO.getTime() + 60_000) };
  await follow(answered, paused("lead_replied"));
  await follow({ enrichment_status: "failed" }, paused("awaiting_enrichment"));
  await follow({ enrichment_status: "pending", email: null }, paused("awaiting_enrichment"));
  // Touches: retries, dead leases of both kinds, and an expired approval.
  for (let number = 0; number < 4; number++) {
    const { instanceId } = await follow({}, later);
    rows.push(["touch", await addTouch(sql, instanceId, chase.steps[0] ?? "", LEFT)]);
  }
  const leased = await follow({}, later);
  await addTouch(sql, leased.instanceId, chase.steps[0] ?? "", { ...DEAD, channel: "webhook" });
  await addTouch(sql, leased.instanceId, chase.steps[1] ?? "", DEAD);
  const asked = await follow({}, { status: "paused", paused_reason: "awaiting_approval" });
  const expired = { status: "awaiting_approval", expires_at: LONG_AGO, recheck_at: LONG_AGO };
  await addTouch(sql, asked.instanceId, chase.steps[0] ?? "", expired);
  await addDigests(workspaceId);
  return { workspaceId, chase, rows };
}

/** Adds a digest window with events, one without, and a waiting delivery. */
async function addDigests(workspaceId: string): Promise<void> {
  const quiet = await addWorkspace(sql, { name: "Quiet", digest_email: "quiet@example.test" });
  await sql.query("update workspace set next_digest_at = $1 where id = any($2)", [hoursAgo(1), [workspaceId, quiet]]);
  await sql.query(
    "insert into notification_event (workspace_id, kind, occurred_at) values ($1, 'backstop_completed', $2)",
    [workspaceId, hoursAgo(30)],
  );
  await sql.query(
    `with made as (insert into notification_digest (workspace_id, window_start, window_end)
                   values ($1, '2020-01-01', '2020-01-02') returning id)
     insert into digest_delivery (workspace_id, digest_id, channel, recheck_at) select $1, id, 'email', $2 from made`,
    [quiet, hoursAgo(1)],
  );
}

const accepting = { send: () => Promise.resolve({ kind: "accepted", providerId: "digest" } as const) };
const settings = { batchSize: 3 };

/** The part of a report that a dry run can predict: all but the outcomes of sending. */
function foretold({ backstop, snoozed, resumed, enrichmentResumed, results, recovered, notificationDigests }: Report) {
  const { checked, skipped } = notificationDigests ?? {};
  return {
    backstop: { ...backstop, slowestSeconds: 0 },
    snoozed,
    resumed,
    enrichmentResumed,
    results: { ...results, delivery: 0, oldestDueSeconds: 0, oldestDueSecondsByWorkspace: 0, holds: 0 },
    recovered: { ...recovered, delivery: 0 },
    digests: { checked, skipped },
  };
}

describe("a dry run", () => {
  long.it("predicts each step of the real run, and writes nothing", async () => {
    await addScene();
    const before = await everyRow(sql);
    const dry = await runner.run({ dryRun: true }, { settings });
    expect(dry.errors).toEqual([]);
    expect(await everyRow(sql)).toEqual(before);
    const digests = { email: accepting, webhook: accepting };
    const real = await runner.run({}, { settings, digests });
    expect(real.errors).toEqual([]);
    expect(foretold(dry)).toEqual(foretold(real));
    expect(dry).toMatchObject({
      backstop: { completedCount: 1, cancelledTouches: 1, endedByLeadStatus: 1, endedPostBooking: 1, unbookedLeads: 1 },
      snoozed: { checked: 5, resumed: 4 },
      resumed: { resumed: 1 },
      enrichmentResumed: { checked: 2, resumed: 1 },
      recovered: { expired: 1, unknown: 1, reclaimed: 1, takenUp: 5 },
      notificationDigests: { checked: 3, retrying: 2, skipped: 1 },
    });
    expect(dry.results?.reasons).toMatchObject({ daily_cap_reached: expect.any(Number), already_claimed: 1 });
  });

  it("claims at most the limit, and reports the rest as backlog", async () => {
    await addScene();
    const { results } = await runner.run({ dryRun: true, limit: 4 }, { settings });
    const whole = await runner.run({ dryRun: true }, { settings });
    expect(results?.due).toBe(4);
    expect((results?.due ?? 0) + (results?.backlog ?? 0)).toBe(whole.results?.due);
    expect(whole.results?.backlog).toBe(0);
  });
});

/** Blocks the dry run after its first claim. */
async function stoppedInTheMiddle(work: () => Promise<void>): Promise<Report> {
  let stopped = false;
  const rehearse: RunPorts["rehearse"] = (steps) =>
    runner.ports.rehearse((store) =>
      steps({
        ...store,
        claimDue: async (query, plan) => {
          const claimed = await store.claimDue(query, plan);
          if (!stopped) await work();
          stopped = true;
          return claimed;
        },
      }),
    );
  const report = await runner.run({ dryRun: true }, { rehearse, settings });
  expect(stopped).toBe(true);
  return report;
}

const IMPATIENT = "set local lock_timeout = '50ms'";
const touchRow = (table: string) =>
  `update ${table} set ${table === "workspace" ? "name = 'Changed'" : "workspace_id = workspace_id"} where id = $1`;

describe("while a dry run is under way", () => {
  it("each row that a run changes can be changed, and a booking is applied, without waiting", async () => {
    const { workspaceId, chase, rows } = await addScene();
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const report = await stoppedInTheMiddle(async () => {
      const other = await openTransaction(sql);
      await other.query(IMPATIENT);
      for (const [table, id] of rows) expect((await other.query(touchRow(table), [id])).rowCount).toBe(1);
      await other.commit();
      const impatient = openPool(`${database.url}?options=-c%20lock_timeout%3D50ms`);
      const booked = {
        workspaceId,
        eventId: "b",
        occurredAt: hoursAgo(0),
        lead: { id: leadId },
        meeting: aMeeting("m"),
      };
      expect(await tell(onPool(impatient), "meeting.booked", booked)).toMatchObject({ outcome: "applied", ended: 1 });
      await impatient.end();
    });
    expect(report.errors).toEqual([]);
    const { rows: after } = await sql.query("select status from follow_up_instance where id = $1", [instanceId]);
    expect(after).toEqual([{ status: "completed" }]);
  });

  it("it holds no lock that any statement but a change of the schema waits for, and no transaction id", async () => {
    await addScene();
    await stoppedInTheMiddle(async () => {
      const { rows } = await sql.query<{ mode: string }>(
        `select distinct mode from pg_locks
          where locktype in ('relation', 'tuple', 'transactionid') and pid <> pg_backend_pid()
            and pid in (select pid from pg_stat_activity where datname = current_database())`,
      );
      expect(rows).toEqual([{ mode: "AccessShareLock" }]);
    });
  });

  it("a real run works concurrently if the overlap lock allows it", async () => {
    await addScene();
    const second = openRunner(database.url);
    const digests = { email: accepting, webhook: accepting };
    const lock = {
      tryAcquire: () => Promise.resolve({ pid: 0, isHeld: () => true, release: () => Promise.resolve() }),
      holder: () => Promise.resolve(undefined),
    };
    await stoppedInTheMiddle(async () => {
      const real = await second.run({}, { lock, digests, settings });
      expect(real).toMatchObject({ success: true, backstop: { completedCount: 1, remaining: 0 } });
      expect(real.results?.claimed).toBeGreaterThan(0);
    });
    await second.close();
  });
});

describe("while a real claim is under way", () => {
  it("a change of a lead that it decides on waits for it", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    // Blocks the claim from writing its touch after it has locked the lead.
    const holding = await openTransaction(sql);
    await holding.query("select from follow_up_step where id = $1 for update", [chase.steps[0]]);
    const running = runner.run({ workspaceId });
    await untilBlockedBy(sql, holding.pid);
    const other = await openTransaction(sql);
    await other.query(IMPATIENT);
    await expect(other.query(touchRow("lead"), [leadId])).rejects.toMatchObject({ code: "55P03" });
    await other.rollback();
    await holding.rollback();
    expect(await running).toMatchObject({ success: true });
  });
});
