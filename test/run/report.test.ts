import { inspect } from "node:util";
import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { LEAD_STATUSES } from "../../lib/domain/labels.ts";
import type { SendOutcome } from "../../lib/run/channel-ports.ts";
import type { RunPorts } from "../../lib/run/ports.ts";
import { imbalances, type Report } from "../../lib/run/report.ts";
import type { DeliveryReport, SendDueReport } from "../../lib/run/step-reports.ts";
import { noSteps } from "../../lib/run/steps.ts";
import {
  addFollowedLead,
  addSequence,
  addWorkspace,
  type Columns,
  everyRow,
  FAR_AHEAD,
  LONG_AGO,
  type Sequence,
} from "../support/factories.ts";
import { accept, invokeHandler, useRunner } from "../support/run.ts";

const { database, sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let chase: Sequence;

/** Each test starts with one empty workspace. */
beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
});

/** Adds three due steps, and a booking whose sequence is still active. */
async function addDueAndBooked(): Promise<void> {
  for (let number = 0; number < 3; number++) await addFollowedLead(sql, workspaceId, chase.id);
  const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
  await sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
}

async function breakBackstop(): Promise<() => Promise<unknown>> {
  await sql.query(
    "create or replace function broken() returns trigger language plpgsql as $$ begin raise 'no more room'; end $$",
  );
  await sql.query(
    `create trigger broken before update on follow_up_instance for each row
       when (new.completed_reason = 'meeting_booked') execute function broken()`,
  );
  return () => sql.query("drop trigger broken on follow_up_instance");
}

describe("an event that is not valid", () => {
  it.each<[string, unknown, readonly RegExp[]]>([
    ["an unknown key", { dryrun: true }, [/unknown key "dryrun"; expected any of trigger, .*dryRun/]],
    ["a wrong type", { dryRun: "yes" }, [/^dryRun: /]],
    ["an unknown step", { only: ["backstop", "send-all"] }, [/^only\.1: /]],
    ["no step at all", { only: [] }, [/^only: /]],
    ["a limit of nothing", { limit: 0 }, [/^limit: /]],
    ["half a limit", { limit: 1.5 }, [/^limit: /]],
    ["a scheduled time in year 0", { scheduledTime: "0000-01-01T00:00:00Z" }, [/^scheduledTime: .*2000 and 2200/]],
    [
      "a scheduled time without a zone",
      { scheduledTime: "2026-01-01T00:00:00" },
      [/^scheduledTime: must be an instant/],
    ],
    ["something else than an object", "backstop", [/^event: /]],
    ["a list", [{}], [/^event: /]],
    [
      "everything at once",
      {
        trigger: "cron",
        scheduledTime: "noon",
        dryRun: 1,
        only: ["x"],
        workspaceId: "all",
        limit: "10",
        also: 1,
        too: 2,
      },
      [
        /^trigger: /,
        /^scheduledTime: /,
        /^dryRun: /,
        /^only\.0: /,
        /^workspaceId: /,
        /^limit: /,
        /unknown key "also", "too"/,
      ],
    ],
  ])("is refused with all that is wrong, and nothing is done: %s", async (_, event, faults) => {
    await addDueAndBooked();
    const before = await everyRow(sql);
    const report = await runner.run(event);
    expect(report).toMatchObject({
      statusCode: 400,
      success: false,
      reason: "invalid_event",
      runId: null,
      backstop: null,
      results: null,
    });
    expect(report.errors).toHaveLength(faults.length);
    for (const fault of faults) expect(report.errors).toContainEqual(expect.stringMatching(fault));
    expect(runner.channel.sent).toEqual([]);
    expect(await everyRow(sql)).toEqual(before);
  });

  it("is not one that is empty or absent, or that names every key", async () => {
    const full = {
      trigger: "schedule",
      scheduledTime: "2030-01-07T09:00:00Z",
      dryRun: false,
      only: ["backstop"],
      workspaceId,
      limit: 1_000_000,
    };
    for (const event of [{}, null, undefined, full]) {
      expect(await runner.run(event)).toMatchObject({ statusCode: 200, success: true });
    }
  });

  it("is not one with a scheduled time in an offset that PostgreSQL lacks", async () => {
    const scheduledTime = "2030-01-07T09:00:00.123456789+23:59";
    const report = await runner.run({ scheduledTime });
    expect(report).toMatchObject({ statusCode: 200, success: true });
    const { rows } = await sql.query("select scheduled_time from run where id = $1", [report.runId]);
    expect(rows).toEqual([{ scheduled_time: new Date(scheduledTime) }]);
  });

  it("names a workspace that does not exist", async () => {
    await addDueAndBooked();
    const before = await everyRow(sql);
    const report = await runner.run({ workspaceId: "01890000-0000-7000-8000-000000000000" });
    expect(report).toMatchObject({ statusCode: 400, success: false, reason: "invalid_event", backstop: null });
    expect(await everyRow(sql)).toEqual(before);
  });
});

const STEPS: readonly Columns[] = [
  {},
  { needs_approval: true },
  { body: "Hello {{ lead.company }}" },
  { body: "Hello {{ lead.first_name" },
  { condition: "linkedin_connected" },
  { condition: "no_reply" },
  { channel: "sms", subject: null },
  { channel: "task" },
];
const OUTCOMES: readonly Exclude<SendOutcome, { kind: "accepted" }>[] = [
  { kind: "refused", reason: "so_it_is" },
  { kind: "retry", reason: "so_it_is" },
  { kind: "unknown", reason: "so_it_is" },
  { kind: "channel_down", scope: "workspace", reason: "so_it_is" },
];

const leads = fc.array(
  fc.record({
    step: fc.nat(STEPS.length - 1),
    isDue: fc.boolean(),
    lead: fc.record(
      {
        status: fc.constantFrom(...LEAD_STATUSES),
        email: fc.constantFrom(null, " "),
        phone: fc.constant(null),
        time_zone: fc.constantFrom(null, "Europe/Berlin", "Mars/Olympus"),
        automation_enabled: fc.boolean(),
        opted_out_at: fc.constantFrom(null, LONG_AGO),
        snoozed_until: fc.constantFrom(null, LONG_AGO, FAR_AHEAD),
        last_inbound_at: fc.constantFrom(null, LONG_AGO),
        enrichment_status: fc.constantFrom("not_requested", "pending", "failed"),
      },
      { requiredKeys: [] },
    ),
  }),
  { maxLength: 15 },
);

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const becameOfDue = ({ claimed, held, paused, skipped, completed, awaitingApproval, expired }: SendDueReport) =>
  sum({ claimed, held, paused, skipped, completed, awaitingApproval, expired });

describe("the report", () => {
  it("has one key per step, in a fixed order", () => {
    const keys = [
      "backstop",
      "snoozed",
      "resumed",
      "enrichmentResumed",
      "repaired",
      "guardrail",
      "results",
      "recovered",
      "notificationDigests",
    ];
    expect(Object.keys(noSteps())).toEqual(keys);
  });

  it("balances for any data, and agrees with the database after the run", async () => {
    const settings = fc.record({
      batchSize: fc.integer({ min: 1, max: 6 }),
      sendsAtOnce: fc.integer({ min: 1, max: 4 }),
    });
    const outcomes = fc.array(fc.constantFrom<SendOutcome | null>(null, ...OUTCOMES), { minLength: 1, maxLength: 5 });
    const law = fc.asyncProperty(leads, outcomes, settings, async (rows, answers, given) => {
      const workspace = await addRandom(rows);
      let number = 0;
      runner.channel.answer = (touch) => {
        return answers[number++ % answers.length] ?? accept(touch);
      };
      const report = await runner.run({ workspaceId: workspace }, { settings: given });
      await expectBalance(report, workspace, rows);
    });
    await fc.assert(law, { numRuns: 25 });
  });

  async function addRandom(rows: readonly { step: number; isDue: boolean; lead: Columns }[]): Promise<string> {
    const workspace = await addWorkspace(sql);
    const sequences: Sequence[] = [];
    for (const step of STEPS) sequences.push(await addSequence(sql, workspace, { steps: [step, {}] }));
    for (const { step, isDue, lead } of rows) {
      const instance = { next_step_due: isDue ? LONG_AGO : FAR_AHEAD };
      await addFollowedLead(sql, workspace, String(sequences[step]?.id), { lead, instance });
    }
    return workspace;
  }

  async function expectBalance(
    report: Report,
    workspace: string,
    rows: readonly { isDue: boolean; lead: { status?: string } }[],
  ): Promise<void> {
    // A failed channel is an error, but the report still balances.
    const errors = report.channelFaults.map(({ channel }) =>
      expect.stringContaining(`channel ${channel}: takes nothing`),
    );
    expect(report).toMatchObject({ success: errors.length === 0, errors });
    const { results } = report;
    if (!results?.delivery) throw new Error("send-due did not run");
    const free = rows.filter(({ isDue, lead }) => isDue && lead.status !== "meeting-booked");
    expect(results.due).toBe(free.length);
    expect(becameOfDue(results)).toBe(results.due);
    expect(sum(results.reasons)).toBe(results.due);
    expect(sum({ ...results.delivery })).toBe(results.claimed);
    expect(await touchCounts(workspace)).toEqual({ ...results.delivery, awaitingApproval: results.awaitingApproval });
    const stillDue = await sql.query(
      "select id from follow_up_instance where workspace_id = $1 and status = 'active' and next_step_due <= now()",
      [workspace],
    );
    expect({ due: stillDue.rows, backlog: results.backlog }).toEqual({ due: [], backlog: 0 });
  }

  async function touchCounts(workspace: string): Promise<DeliveryReport & { awaitingApproval: number }> {
    const { rows } = await sql.query<DeliveryReport & { awaitingApproval: number }>(
      `select count(*) filter (where status = 'sent')::int as sent,
              count(*) filter (where status = 'claimed')::int as retrying,
              count(*) filter (where status = 'expired')::int as expired, 0 as deferred, 0 as queued,
              count(*) filter (where status = 'failed')::int as failed,
              count(*) filter (where status = 'unknown')::int as unknown,
              count(*) filter (where status = 'cancelled')::int as cancelled,
              count(*) filter (where status = 'awaiting_approval')::int as "awaitingApproval"
         from touch where workspace_id = $1`,
      [workspace],
    );
    const [counts] = rows;
    if (!counts) throw new Error("a count has one row");
    return counts;
  }

  it("that does not balance says by how much", async () => {
    await addDueAndBooked();
    const report = await runner.run();
    const { results } = report;
    if (!results?.delivery) throw new Error("send-due did not run");
    expect(imbalances(report)).toEqual([]);
    expect(imbalances({ ...report, results: { ...results, due: 4 } })).toEqual([
      expect.stringMatching(/does not balance: .*\b4 .*\b3 /),
    ]);
    const delivery = { ...results.delivery, sent: 1 };
    expect(imbalances({ ...report, results: { ...results, delivery } })).toEqual([
      expect.stringMatching(/does not balance: .*\b3 .*\b1 /),
    ]);
  });

  it("is stored as the run's row, equal to what is returned", async () => {
    await addDueAndBooked();
    const event = { trigger: "schedule", scheduledTime: "2030-01-07T09:00:00Z" };
    const report = await runner.run(event, { requestId: "request-1" });
    const { rows } = await sql.query("select * from run");
    expect(rows).toEqual([
      expect.objectContaining({
        id: report.runId,
        trigger: "schedule",
        request_id: "request-1",
        scheduled_time: new Date(event.scheduledTime),
        started_at: new Date(String(report.timestamp)),
        success: true,
        compared_at: new Date(String(report.timestamp)),
        report: JSON.parse(JSON.stringify(report)),
      }),
    ]);
    const [finished] = runner.lines.filter(({ event: name }) => name === "run.finished").slice(-1);
    expect(JSON.stringify(finished?.fields)).toContain(String(report.runId));
  });

  it("is stored for a failed run too", async () => {
    await addDueAndBooked();
    const repair = await breakBackstop();
    const report = await runner.run({ trigger: "schedule" });
    await repair();
    const { rows } = await sql.query("select success, report, compared_at from run");
    expect(rows).toEqual([{ success: false, report: JSON.parse(JSON.stringify(report)), compared_at: null }]);
  });

  it("holds no name and no address of anybody", async () => {
    await addDueAndBooked();
    await addFollowedLead(sql, workspaceId, chase.id, { lead: { first_name: null, email: "grace@private.test" } });
    const written = JSON.stringify(await runner.run()) + JSON.stringify(runner.lines);
    for (const personal of ["Ada", "@example.test", "grace@private.test", "+4930", "shall we talk"]) {
      expect(written).not.toContain(personal);
    }
    expect(written).not.toMatch(/\bada-/);
  });
});

describe("the log of a run that a law of the database stops", () => {
  it("names the violated law, and no value of the row", async () => {
    await sql.query("alter table touch add constraint nothing_is_ever_said check (body = '') not valid");
    try {
      const own = await addWorkspace(sql);
      await addFollowedLead(sql, own, (await addSequence(sql, own)).id, { lead: { first_name: "Ada" } });
      const before = runner.lines.length;
      const report = await runner.run({ workspaceId: own });
      expect(report).toMatchObject({ success: false, errors: [expect.stringContaining("nothing_is_ever_said")] });
      const written = inspect(runner.lines.slice(before), { depth: null, showHidden: true });
      expect(written).toContain("nothing_is_ever_said");
      expect(written).not.toContain("Failing row");
      expect(written).not.toContain("Ada");
    } finally {
      await sql.query("alter table touch drop constraint nothing_is_ever_said");
    }
  });
});

describe("the handler", () => {
  it("returns the report of a successful run to every caller", async () => {
    await addDueAndBooked();
    const report = await invokeHandler(database.url, { trigger: "schedule" });
    expect(report).toMatchObject({ statusCode: 200, success: true, results: { delivery: { sent: 3 } } });
    expect(await invokeHandler(database.url, {})).toMatchObject({ statusCode: 200, success: true, trigger: "manual" });
  });

  it("throws if a scheduled run fails", async () => {
    await addDueAndBooked();
    const repair = await breakBackstop();
    await expect(invokeHandler(database.url, { trigger: "schedule" })).rejects.toMatchObject({
      name: "RunFailed",
      message: expect.stringContaining("no more room"),
      report: expect.objectContaining({ statusCode: 500, success: false, trigger: "schedule" }),
    });
    await repair();
  });

  it("answers 500 with the report when a run that a person started fails", async () => {
    await addDueAndBooked();
    const repair = await breakBackstop();
    const report = await invokeHandler(database.url, { trigger: "manual" });
    await repair();
    expect(report).toMatchObject({ statusCode: 500, success: false, results: null, snoozed: { checked: 0 } });
    expect(report.errors).toContainEqual(expect.stringContaining("no more room"));
  });

  it("throws at an event of the schedule that is not valid, and answers 400 to one of a person", async () => {
    await expect(invokeHandler(database.url, { trigger: "schedule", limit: 0 })).rejects.toMatchObject({
      name: "RunFailed",
      message: expect.stringContaining("limit: "),
    });
    expect(await invokeHandler(database.url, { limit: 0 })).toMatchObject({ statusCode: 400, success: false });
  });
});

describe("a dry run", () => {
  const pausedRows = { status: "paused", paused_reason: "lead_snoozed", recheck_at: LONG_AGO };

  it("decides like a real run, reports a sample, and leaves the database unchanged", async () => {
    await addDueAndBooked();
    await addFollowedLead(sql, workspaceId, chase.id, { instance: pausedRows });
    await addFollowedLead(sql, workspaceId, chase.id, { lead: { opted_out_at: LONG_AGO } });
    const before = await everyRow(sql);

    const rehearsed = await runner.run({ dryRun: true });

    expect(await everyRow(sql)).toEqual(before);
    expect(runner.channel.sent).toEqual([]);
    expect(rehearsed).toMatchObject({
      success: true,
      dryRun: true,
      runId: null,
      backstop: { completedCount: 1 },
      snoozed: { resumed: 1 },
      results: { due: 5, claimed: 4, completed: 1, delivery: null },
    });
    expect(rehearsed.sample?.map(({ decision }) => decision).sort()).toEqual([
      "complete",
      "send",
      "send",
      "send",
      "send",
    ]);

    const real = await runner.run();
    const { completedCount, byWorkspace } = { ...rehearsed.backstop };
    expect(real).toMatchObject({ backstop: { completedCount, byWorkspace }, snoozed: rehearsed.snoozed ?? {} });
    const timeless = { delivery: null, oldestDueSeconds: 0, oldestDueSecondsByWorkspace: {} };
    expect({ ...real.results, ...timeless }).toEqual({ ...rehearsed.results, ...timeless });
    expect(await everyRow(sql)).not.toEqual(before);
    expect(real.sample).toBeUndefined();
  });

  it("reports a failed step, sends nothing, and continues with the other steps", async () => {
    await addDueAndBooked();
    const rehearse: RunPorts["rehearse"] = (work) =>
      runner.ports.rehearse((store) =>
        work({ ...store, completeBooked: () => Promise.reject(new Error("no more room")) }),
      );
    const report = await runner.run({ dryRun: true }, { rehearse });
    expect(report).toMatchObject({ statusCode: 500, success: false, results: null, snoozed: { checked: 0 } });
    expect(report.errors[0]).toContain("no more room");
  });
});

describe("a run that is out of time", () => {
  it("starts nothing new, and reports the backlog", async () => {
    for (let number = 0; number < 10; number++) await addFollowedLead(sql, workspaceId, chase.id);
    let remaining = 60_000;
    runner.channel.answer = (touch) => {
      remaining = 999;
      return accept(touch);
    };
    const settings = { batchSize: 4, sendsAtOnce: 1, safetyMarginMs: 1_000 };
    const report = await runner.run({}, { remainingMs: () => remaining, settings });
    expect(report).toMatchObject({ success: true, reason: "out_of_time" });
    expect(report.results).toMatchObject({ due: 1, delivery: { sent: 1 }, backlog: 9 });
    expect(await runner.run()).toMatchObject({ results: { due: 9, backlog: 0 } });
  });

  it("starts what it can send at once while exactly the margin is left, and no more", async () => {
    for (let number = 0; number < 10; number++) await addFollowedLead(sql, workspaceId, chase.id);
    const settings = { batchSize: 4, safetyMarginMs: 1_000 };
    const report = await runner.run({}, { remainingMs: () => 1_000, settings });
    expect(report).toMatchObject({ success: true, reason: "out_of_time" });
    expect(report.results).toMatchObject({ due: 4, delivery: { sent: 4 }, backlog: 6 });
  });

  it("fails and sends nothing if no time is left for its backstop", async () => {
    await addDueAndBooked();
    const report = await runner.run({}, { remainingMs: () => 999, settings: { safetyMarginMs: 1_000 } });
    expect(report).toMatchObject({
      success: false,
      statusCode: 500,
      reason: "out_of_time",
      backstop: null,
      results: null,
    });
    expect(runner.channel.sent).toEqual([]);
  });
});
