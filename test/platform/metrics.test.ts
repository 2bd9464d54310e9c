import { describe, expect, it } from "@jest/globals";
import { DOWN_METRICS, figuresOf, figuresOfDelivery, figuresOfIntake } from "../../lib/platform/metrics.ts";
import type { Report } from "../../lib/run/report.ts";
import { noDelivery } from "../../lib/run/step-reports.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { accept, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner();

const told = (report: Report): Record<string, number> =>
  Object.fromEntries(figuresOf(report).map(({ name, value }) => [name, value]));

async function addDue(count: number): Promise<readonly string[]> {
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  const leads: string[] = [];
  for (let number = 0; number < count; number++) leads.push((await addFollowedLead(sql, workspaceId, id)).leadId);
  return leads;
}

const SCHEDULED = { trigger: "schedule" };

describe("the metrics of a run", () => {
  it("come from its report: outcomes of touches, due steps, and completions by the backstop", async () => {
    const [booked, ...others] = await addDue(5);
    await sql.query("update lead set status = 'meeting-booked' where id = $1", [booked]);
    const outcomes = ["unknown", "refused", "retry"] as const;
    let calls = 0;
    runner.channel.answer = (touch) => {
      const kind = outcomes[calls++];
      return kind ? { kind, reason: "a_test" } : accept(touch);
    };
    const report = await runner.run(SCHEDULED);
    expect(others).toHaveLength(4);
    expect(told(report)).toEqual({
      SuccessfulRuns: 1,
      FailedRuns: 0,
      SkippedRuns: 0,
      RunDuration: report.durationMs,
      BookingToStop: report.backstop?.slowestSeconds,
      BackstopCompletions: 1,
      BackstopRemaining: 0,
      CancelledTouches: 0,
      PausedWorkspaces: 0,
      DueSteps: 4,
      HeldSteps: 0,
      SentTouches: 1,
      RetryingTouches: 1,
      FailedTouches: 1,
      UnknownTouches: 1,
      Backlog: 0,
      OldestDue: report.results?.oldestDueSeconds,
      RowsToRepair: 0,
      SentDigests: 0,
      LostDigests: 0,
      ...Object.fromEntries(DOWN_METRICS.map(({ metric }) => [metric, 0])),
      RefusedWorkspaces: 0,
    });
    expect(report.backstop?.slowestSeconds).toBeGreaterThan(0);
    expect(report.results?.oldestDueSeconds).toBeGreaterThan(86_400);
  });

  it("name the channel that accepted nothing, and count a failed run", async () => {
    await addDue(2);
    runner.channel.answer = () => ({ kind: "channel_down", scope: "channel", reason: "a_test" });
    const figures = told(await runner.run(SCHEDULED));
    expect(figures).toMatchObject({ FailedRuns: 1, EmailDown: 1, SmsDown: 0, WebhookDown: 0, RefusedWorkspaces: 0 });
    await sql.query(
      "update touch set next_attempt_at = '-infinity', recheck_at = '-infinity' where status = 'claimed'",
    );
    runner.channel.answer = accept;
    expect(told(await runner.run(SCHEDULED))).toMatchObject({ FailedRuns: 0, EmailDown: 0 });
  });

  it("count a backlog", async () => {
    runner.channel.answer = accept;
    await addDue(3);
    expect(told(await runner.run({ ...SCHEDULED, limit: 1 }))).toMatchObject({ DueSteps: 1, Backlog: 2 });
    expect(told(await runner.run(SCHEDULED))).toMatchObject({ DueSteps: 2, Backlog: 0 });
  });

  it("omit steps that did not run", async () => {
    const report = await runner.run({ ...SCHEDULED, only: ["backstop"] });
    expect(Object.keys(told(report))).toEqual([
      "SuccessfulRuns",
      "FailedRuns",
      "SkippedRuns",
      "RunDuration",
      "BookingToStop",
      "BackstopCompletions",
      "BackstopRemaining",
      "CancelledTouches",
    ]);
    expect(told(report)).toMatchObject({ SuccessfulRuns: 0 });
  });

  it("count a failed run as failed, and not as successful", async () => {
    const store = { ...runner.ports.store, resumePaused: () => Promise.reject(new Error("the step is broken")) };
    expect(told(await runner.run(SCHEDULED, { store }))).toMatchObject({ SuccessfulRuns: 0, FailedRuns: 1 });
  });

  it("count a locked run neither as successful nor as failed", async () => {
    const held = await runner.ports.lock.tryAcquire();
    const figures = told(await runner.run(SCHEDULED));
    await held?.release();
    expect(figures).toMatchObject({ SuccessfulRuns: 0, FailedRuns: 0, SkippedRuns: 1, BackstopCompletions: 0 });
  });

  it("count a manual run neither as successful nor as failed", async () => {
    const store = { ...runner.ports.store, resumePaused: () => Promise.reject(new Error("the step is broken")) };
    expect(told(await runner.run({}))).toMatchObject({ SuccessfulRuns: 0, FailedRuns: 0 });
    expect(told(await runner.run({}, { store }))).toMatchObject({ SuccessfulRuns: 0, FailedRuns: 0 });
    expect(told(await runner.run(SCHEDULED))).toMatchObject({ SuccessfulRuns: 1, FailedRuns: 0 });
  });

  it("of a dry run only count the dry run", async () => {
    await addDue(1);
    expect(told(await runner.run({ dryRun: true }))).toEqual({ DryRuns: 1 });
  });
});

it("the metrics of a delivery batch are its outcomes", () => {
  const faults = [
    { channel: "email", workspaceId: "one", reason: "smtp_550" },
    { channel: "sms", workspaceId: null, reason: "sms_not_reached" },
  ] as const;
  expect(figuresOfDelivery({ ...noDelivery(), sent: 3, unknown: 1 }, faults)).toEqual([
    { name: "SentTouches", value: 3 },
    { name: "RetryingTouches", value: 0 },
    { name: "FailedTouches", value: 0 },
    { name: "UnknownTouches", value: 1 },
    ...DOWN_METRICS.map(({ channel, metric }) => ({ name: metric, value: channel === "sms" ? 1 : 0 })),
    { name: "RefusedWorkspaces", value: 1 },
  ]);
});

it("the metrics of a batch of facts count each outcome, and what a person should review", () => {
  const report = { applied: 7, stale: 1, duplicate: 2, refused: 3, failed: 4, ignored: 8, created: 5, warned: 6 };
  expect(figuresOfIntake(report)).toEqual([
    { name: "AppliedFacts", value: 7 },
    { name: "StaleFacts", value: 1 },
    { name: "DuplicateFacts", value: 2 },
    { name: "RefusedFacts", value: 3 },
    { name: "FailedFacts", value: 4 },
    { name: "IgnoredMessages", value: 8 },
    { name: "CreatedLeads", value: 5 },
    { name: "WarnedFacts", value: 6 },
  ]);
});
