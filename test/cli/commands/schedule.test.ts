import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { nextMinute, scheduleCommand } from "../../../cli/commands/schedule.ts";
import { Problem } from "../../../cli/problem.ts";
import { FakeScheduler } from "../../support/fake-scheduler.ts";

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

const ALL_BUT_DATE = [
  ...(["hrtime", "nextTick", "performance", "queueMicrotask", "setImmediate", "clearImmediate"] as const),
  ...(["setInterval", "clearInterval", "setTimeout", "clearTimeout"] as const),
];

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
  ])("are no-ops when repeated: %s", async (verb, answer, state) => {
    await run(verb);
    scheduler.requests.length = 0;
    expect(await run(verb)).toContain(answer);
    expect(current()).toEqual({ ...aSchedule, State: state });
    expect(scheduler.requests).toEqual(["GET /schedules/backstop-dev-follow-ups"]);
  });

  it("print what a later deploy does to them", async () => {
    expect(await run("pause")).toContain("a deploy that changes the schedule resumes it");
    expect(await run("resume")).toContain("a deploy that changes the schedule keeps it running");
  });

  it("print that queued touches are still sent, and how to stop them", async () => {
    const output = await run("pause", "--group", "backstop-dev", "--name", "backstop-dev-follow-ups");
    for (const part of ["still sent", "docs/runbook.md#stop-everything"]) expect(output).toContain(part);
    const sections = (await readFile("docs/runbook.md", "utf8")).split(/^#+ /m);
    const section = sections.find((one) => one.startsWith("Stop everything\n"));
    for (const part of ["update-event-source-mapping", "--no-enabled", "paused_at"]) expect(section).toContain(part);
  });

  it("retry when AWS throttles", async () => {
    scheduler.refusals.push({ status: 429, type: "ThrottlingException" }, { status: 429, type: "ThrottlingException" });
    await run("pause");
    expect(scheduler.requests).toHaveLength(4);
    expect(current()).toMatchObject({ State: "DISABLED" });
  });

  it("stop with advice when AWS keeps throttling", async () => {
    for (let time = 0; time < 10; time++) scheduler.refusals.push({ status: 429, type: "ThrottlingException" });
    const result = run("pause");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow(/^AWS throttled the request 4 times: try again in a minute$/);
    expect(scheduler.requests).toHaveLength(4);
    expect(current()).toEqual(aSchedule);
  });
});

describe("status", () => {
  it("prints what the schedule does, and changes nothing", async () => {
    const output = await run("status");
    for (const part of ["running", "rate(1 minute) (Europe/Berlin)", aSchedule.Target.Arn])
      expect(output).toContain(part);
    expect(scheduler.requests).toEqual(["GET /schedules/backstop-dev-follow-ups"]);
  });

  it("prints paused after a pause", async () => {
    await run("pause");
    expect(await run("status")).toContain("backstop-dev/backstop-dev-follow-ups is paused");
  });
});

describe("run-now", () => {
  const oneTime = () => [...scheduler.schedules].filter(([key]) => key.startsWith("backstop-dev/run-now-"));

  it("creates a schedule that runs the stage's own target once, at the next full minute, and deletes itself", async () => {
    const output = await run("run-now");
    const [, minute = ""] = /starts at (.*:00)\.000Z/.exec(output) ?? [];
    expect(Date.parse(`${minute}Z`) - Date.now()).toBeGreaterThan(0);
    expect(Date.parse(`${minute}Z`) - Date.now()).toBeLessThanOrEqual(65_000);
    expect(oneTime()).toEqual([
      [
        `backstop-dev/run-now-${minute.slice(0, -3).replace(":", "-")}`,
        expect.objectContaining({
          ScheduleExpression: `at(${minute})`,
          ScheduleExpressionTimezone: "UTC",
          FlexibleTimeWindow: { Mode: "OFF" },
          ActionAfterCompletion: "DELETE",
          Target: aSchedule.Target,
        }),
      ],
    ]);
    expect(current()).toEqual(aSchedule);
  });

  it("called twice within the same minute creates one schedule, and says so", async () => {
    jest.useFakeTimers({ now: new Date("2026-11-25T09:00:10Z"), doNotFake: ALL_BUT_DATE });
    try {
      expect(await run("run-now")).toBe("a run starts at 2026-11-25T09:01:00.000Z");
      expect(await run("run-now")).toBe("a run is already requested and starts at 2026-11-25T09:01:00.000Z");
    } finally {
      jest.useRealTimers();
    }
    expect(oneTime()).toHaveLength(1);
  });

  it("skips a minute that will have started when the request arrives", () => {
    expect(nextMinute(new Date("2026-11-25T09:00:54Z"))).toEqual(new Date("2026-11-25T09:01:00Z"));
    expect(nextMinute(new Date("2026-11-25T09:00:56Z"))).toEqual(new Date("2026-11-25T09:02:00Z"));
  });
});

describe("the selected schedule", () => {
  it("is the one of the stage", async () => {
    scheduler.schedules.set("backstop-production/backstop-production-follow-ups", { ...aSchedule, State: "DISABLED" });
    expect(await run("status", "--stage", "production")).toContain("backstop-production-follow-ups is paused");
  });

  it("can be named explicitly", async () => {
    scheduler.schedules.set("ours/nightly", aSchedule);
    expect(await run("pause", "--group", "ours", "--name", "nightly")).toContain("ours/nightly is now paused");
    expect(scheduler.schedules.get("ours/nightly")).toMatchObject({ State: "DISABLED" });
    expect(current()).toEqual(aSchedule);
  });

  it("is reported as missing, with advice", async () => {
    const missing = run("pause", "--stage", "staging");
    await expect(missing).rejects.toThrow(Problem);
    await expect(missing).rejects.toThrow("there is no schedule backstop-staging/backstop-staging-follow-ups");
  });

  it("cannot belong to an invalid stage", async () => {
    await expect(run("pause", "--stage", "No Stage")).rejects.toThrow(Problem);
    expect(scheduler.requests).toEqual([]);
  });
});

describe("an error that a person can fix is one line", () => {
  it.each([
    [403, "AccessDeniedException", "iam:PassRole"],
    [403, "ExpiredTokenException", "sign in again"],
    [409, "ConflictException", "try again"],
  ])("when AWS answers %i %s", async (status, type, advice) => {
    scheduler.refusals.push({ status, type });
    const result = run("pause");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow(new RegExp(`^.*${advice}.*$`));
  });

  it("when there are no credentials", async () => {
    delete process.env["AWS_ACCESS_KEY_ID"];
    await expect(run("status")).rejects.toThrow(/^no AWS credentials were found: .*AWS_PROFILE/);
  });

  it("when there is no region", async () => {
    delete process.env["AWS_REGION"];
    await expect(run("status")).rejects.toThrow(/^no AWS region is set: /);
  });

  it("when the address is unreachable", async () => {
    process.env["AWS_ENDPOINT_URL_SCHEDULER"] = "http://127.0.0.1:1";
    await expect(run("status")).rejects.toThrow(/^EventBridge Scheduler cannot be reached: /);
  });
});

it("rethrows an unknown error", async () => {
  scheduler.refusals.push({ status: 400, type: "ValidationException" });
  await expect(run("status")).rejects.not.toThrow(Problem);
});

function current(): unknown {
  return scheduler.schedules.get("backstop-dev/backstop-dev-follow-ups");
}

async function run(...words: readonly string[]): Promise<string> {
  const lines: string[] = [];
  await scheduleCommand((line) => lines.push(line)).parseAsync(words, { from: "user" });
  return lines.join("\n");
}
