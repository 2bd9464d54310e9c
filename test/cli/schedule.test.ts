import { readFile } from "node:fs/promises";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { scheduleCommand } from "../../cli/commands/schedule.ts";
import { Problem } from "../../cli/problem.ts";
import { leaveOneTimeSchedule, nextMinute } from "../../lib/platform/one-time-schedule.ts";
import { FakeScheduler } from "../support/fake-scheduler.ts";

/** A schedule that sets every field of EventBridge Scheduler's API. */
const aSchedule = {
  Arn: "arn:aws:scheduler:eu-central-1:111122223333:schedule/backstop-dev/backstop-dev-follow-ups",
  CreationDate: 1_790_000_000,
  LastModificationDate: 1_790_000_060,
  Name: "backstop-dev-follow-ups",
  GroupName: "backstop-dev",
  Description: "begins a run",
  ScheduleExpression: "rate(1 minute)",
  ScheduleExpressionTimezone: "Europe/Berlin",
  StartDate: 1_790_000_000,
  EndDate: 1_890_000_000,
  State: "ENABLED",
  KmsKeyArn: "arn:aws:kms:eu-central-1:111122223333:key/one",
  ActionAfterCompletion: "NONE",
  FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 3 },
  Target: {
    Arn: "arn:aws:lambda:eu-central-1:111122223333:function:backstop-dev-follow-ups",
    RoleArn: "arn:aws:iam::111122223333:role/schedule",
    Input: '{"trigger":"schedule","scheduledTime":"<aws.scheduler.scheduled-time>"}',
    DeadLetterConfig: { Arn: "arn:aws:sqs:eu-central-1:111122223333:backstop-dev-undelivered-ticks" },
    RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 },
  },
};

const usual = { ...process.env };
let scheduler: FakeScheduler;

beforeEach(async () => {
  scheduler = new FakeScheduler();
  scheduler.schedules.set("backstop-dev/backstop-dev-follow-ups", aSchedule);
  const address = await scheduler.listen();
  process.env = {
    ...usual,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_CONFIG_FILE: "/nonexistent",
    AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_ENDPOINT_URL_SCHEDULER: address,
  };
});

afterEach(async () => {
  process.env = usual;
  await scheduler.close();
});

describe("pause and resume", () => {
  it("change the state and keep every other field", async () => {
    await run("pause");
    expect(current()).toEqual({ ...aSchedule, State: "DISABLED" });
    await run("resume");
    expect(current()).toEqual(aSchedule);
  });

  it.each([
    ["pause", "is already paused", "DISABLED"],
    ["resume", "is already running", "ENABLED"],
  ])("are harmless twice: %s", async (verb, answer, state) => {
    await run(verb);
    scheduler.requests.length = 0;
    expect(await run(verb)).toContain(answer);
    expect(current()).toEqual({ ...aSchedule, State: state });
    expect(scheduler.requests).toEqual(["GET /schedules/backstop-dev-follow-ups"]);
  });

  it("say what a later deploy does to them", async () => {
    expect(await run("pause")).toContain("a deploy that changes the schedule starts it again");
    expect(await run("resume")).toContain("a deploy that changes the schedule keeps it running");
  });

  it("say that touches which lie in the queue for delivery still go, and how to stop them", async () => {
    const told = await run("pause", "--group", "backstop-dev", "--name", "backstop-dev-follow-ups");
    for (const part of ["still go out", "docs/runbook.md#stop-everything"]) expect(told).toContain(part);
    const sections = (await readFile("docs/runbook.md", "utf8")).split(/^#+ /m);
    const section = sections.find((one) => one.startsWith("Stop everything\n"));
    for (const part of ["update-event-source-mapping", "--no-enabled", "paused_at"]) expect(section).toContain(part);
  });

  it("outlast AWS saying that there are too many requests", async () => {
    scheduler.refusals.push({ status: 429, type: "ThrottlingException" }, { status: 429, type: "ThrottlingException" });
    await run("pause");
    expect(scheduler.requests).toHaveLength(4);
    expect(current()).toMatchObject({ State: "DISABLED" });
  });

  it("give up with advice when AWS keeps saying so", async () => {
    for (let time = 0; time < 10; time++) scheduler.refusals.push({ status: 429, type: "ThrottlingException" });
    const refused = run("pause");
    await expect(refused).rejects.toThrow(Problem);
    await expect(refused).rejects.toThrow(/^AWS refused 4 times because of too many requests: try again in a minute$/);
    expect(scheduler.requests).toHaveLength(4);
    expect(current()).toEqual(aSchedule);
  });
});

describe("status", () => {
  it("tells what the schedule does, and changes nothing", async () => {
    const told = await run("status");
    for (const part of ["running", "rate(1 minute) (Europe/Berlin)", aSchedule.Target.Arn])
      expect(told).toContain(part);
    expect(scheduler.requests).toEqual(["GET /schedules/backstop-dev-follow-ups"]);
  });

  it("says paused after a pause", async () => {
    await run("pause");
    expect(await run("status")).toContain("backstop-dev/backstop-dev-follow-ups is paused");
  });
});

describe("run-now", () => {
  const oneTime = () => [...scheduler.schedules].filter(([key]) => key.startsWith("backstop-dev/catch-up-"));

  it("leaves a schedule for the next full minute that does what the stage's own does, once, and deletes itself", async () => {
    const told = await run("run-now");
    const [, minute = ""] = /begins at (.*:00)\.000Z/.exec(told) ?? [];
    expect(Date.parse(`${minute}Z`) - Date.now()).toBeGreaterThan(0);
    expect(Date.parse(`${minute}Z`) - Date.now()).toBeLessThanOrEqual(65_000);
    expect(oneTime()).toEqual([
      [
        `backstop-dev/catch-up-${minute.slice(0, -3).replace(":", "-")}`,
        expect.objectContaining({
          ScheduleExpression: `at(${minute})`,
          ScheduleExpressionTimezone: "UTC",
          FlexibleTimeWindow: { Mode: "OFF" },
          ActionAfterCompletion: "DELETE",
          Target: {
            ...aSchedule.Target,
            Input: '{"trigger":"catch_up","scheduledTime":"<aws.scheduler.scheduled-time>"}',
          },
        }),
      ],
    ]);
    expect(current()).toEqual(aSchedule);
  });

  it("asked for twice within the same minute makes one, and says so", async () => {
    const now = new Date("2026-11-25T09:00:10Z");
    const client = new SchedulerClient({});
    const ask = () => leaveOneTimeSchedule(client, { group: "backstop-dev", target: aSchedule.Target, now });
    expect(await ask()).toEqual({ at: new Date("2026-11-25T09:01:00Z"), made: true });
    expect(await ask()).toEqual({ at: new Date("2026-11-25T09:01:00Z"), made: false });
    expect(oneTime()).toHaveLength(1);
  });

  it("does not ask for a minute that will be over when the request arrives", () => {
    expect(nextMinute(new Date("2026-11-25T09:00:54Z"))).toEqual(new Date("2026-11-25T09:01:00Z"));
    expect(nextMinute(new Date("2026-11-25T09:00:56Z"))).toEqual(new Date("2026-11-25T09:02:00Z"));
  });
});

describe("the schedule that is meant", () => {
  it("is the one that the stack of the stage made", async () => {
    scheduler.schedules.set("backstop-production/backstop-production-follow-ups", { ...aSchedule, State: "DISABLED" });
    expect(await run("status", "--stage", "production")).toContain("backstop-production-follow-ups is paused");
  });

  it("can be named outright", async () => {
    scheduler.schedules.set("ours/nightly", aSchedule);
    expect(await run("pause", "--group", "ours", "--name", "nightly")).toContain("ours/nightly is paused now");
    expect(scheduler.schedules.get("ours/nightly")).toMatchObject({ State: "DISABLED" });
    expect(current()).toEqual(aSchedule);
  });

  it("is told to be missing when it is, with what to look at", async () => {
    const missing = run("pause", "--stage", "staging");
    await expect(missing).rejects.toThrow(Problem);
    await expect(missing).rejects.toThrow("there is no schedule backstop-staging/backstop-staging-follow-ups");
  });

  it("cannot be of a stage that cannot be", async () => {
    await expect(run("pause", "--stage", "No Stage")).rejects.toThrow(Problem);
    expect(scheduler.requests).toEqual([]);
  });
});

describe("a fault that a person can mend is told in one line", () => {
  it.each([
    [403, "AccessDeniedException", "iam:PassRole"],
    [403, "ExpiredTokenException", "sign in again"],
    [409, "ConflictException", "try again"],
  ])("when AWS answers %i %s", async (status, type, advice) => {
    scheduler.refusals.push({ status, type });
    const refused = run("pause");
    await expect(refused).rejects.toThrow(Problem);
    await expect(refused).rejects.toThrow(new RegExp(`^.*${advice}.*$`));
  });

  it("when there are no credentials", async () => {
    delete process.env["AWS_ACCESS_KEY_ID"];
    await expect(run("status")).rejects.toThrow(/^no AWS credentials were found: .*AWS_PROFILE/);
  });

  it("when there is no region", async () => {
    delete process.env["AWS_REGION"];
    await expect(run("status")).rejects.toThrow(/^no AWS region is set: /);
  });

  it("when nobody answers", async () => {
    process.env["AWS_ENDPOINT_URL_SCHEDULER"] = "http://127.0.0.1:1";
    await expect(run("status")).rejects.toThrow(/^EventBridge Scheduler cannot be reached: /);
  });
});

it("passes on what no person can mend", async () => {
  scheduler.refusals.push({ status: 400, type: "ValidationException" });
  await expect(run("status")).rejects.not.toThrow(Problem);
});

function current(): unknown {
  return scheduler.schedules.get("backstop-dev/backstop-dev-follow-ups");
}

async function run(...words: readonly string[]): Promise<string> {
  const said: string[] = [];
  await scheduleCommand((line) => said.push(line)).parseAsync(words, { from: "user" });
  return said.join("\n");
}
