import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { scheduleCommand } from "../../../cli/commands/schedule.ts";
import { Problem } from "../../../cli/problem.ts";
import { invokeRunOf } from "../../../cli/stage-run.ts";
import type { Report } from "../../../lib/run/report.ts";
import { noSteps } from "../../../lib/run/steps.ts";
import { FakeAws } from "../../support/fake-aws.ts";
import { long } from "../../support/long.ts";

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
    Input: '{"trigger":"schedule","scheduledTime":"<aws.aws.scheduled-time>"}',
    DeadLetterConfig: { Arn: "arn:aws:sqs:eu-central-1:111122223333:backstop-dev-undelivered-ticks" },
    RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 },
  },
};

const usual = { ...process.env };
let aws: FakeAws;

beforeEach(async () => {
  aws = new FakeAws();
  aws.schedules.set("backstop-dev/backstop-dev-follow-ups", aSchedule);
  const address = await aws.listen();
  process.env = {
    ...usual,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_CONFIG_FILE: "/nonexistent",
    AWS_SHARED_CREDENTIALS_FILE: "/nonexistent",
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_ENDPOINT_URL_SCHEDULER: address,
    AWS_ENDPOINT_URL_LAMBDA: address,
  };
});

afterEach(async () => {
  process.env = usual;
  await aws.close();
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
    aws.requests.length = 0;
    expect(await run(verb)).toContain(answer);
    expect(current()).toEqual({ ...aSchedule, State: state });
    expect(aws.requests).toEqual(["GET /schedules/backstop-dev-follow-ups"]);
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
    for (const part of ["update-event-source-mapping", "--no-enabled", "workspaces pause"])
      expect(section).toContain(part);
  });

  long.it("retry when AWS throttles", async () => {
    aws.refusals.push({ status: 429, type: "ThrottlingException" }, { status: 429, type: "ThrottlingException" });
    await run("pause");
    expect(aws.requests).toHaveLength(4);
    expect(current()).toMatchObject({ State: "DISABLED" });
  });

  long.it("stop with advice when AWS keeps throttling", async () => {
    for (let time = 0; time < 10; time++) aws.refusals.push({ status: 429, type: "ThrottlingException" });
    const result = run("pause");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow(/^AWS throttled the request 4 times: try again in a minute$/);
    expect(aws.requests).toHaveLength(4);
    expect(current()).toEqual(aSchedule);
  });
});

describe("status", () => {
  it("prints what the schedule does, and changes nothing", async () => {
    const output = await run("status");
    for (const part of ["running", "rate(1 minute) (Europe/Berlin)", aSchedule.Target.Arn])
      expect(output).toContain(part);
    expect(aws.requests).toEqual(["GET /schedules/backstop-dev-follow-ups"]);
  });

  it("prints paused after a pause", async () => {
    await run("pause");
    expect(await run("status")).toContain("backstop-dev/backstop-dev-follow-ups is paused");
  });
});

describe("run-now", () => {
  const FUNCTION = aSchedule.Target.Arn;
  const invocations = () => aws.requests.filter((request) => request.startsWith("POST "));

  /** A report as the function returns it. */
  const aReport = (fields: Partial<Report>): Report => ({
    ...{
      statusCode: 200,
      success: true,
      errors: [],
      skipped: false,
      ...noSteps(),
      channelFaults: [],
      unsubscribeLinks: true,
    },
    ...{ runId: "17", trigger: "manual", dryRun: false, timestamp: "2026-11-25T09:00:00.000Z", durationMs: 1_200 },
    ...fields,
  });

  beforeEach(() => {
    aws.invoked = { payload: aReport({}) };
  });

  it("invokes the schedule's function once, waits, and prints the run", async () => {
    const output = await run("run-now");
    expect(output).toContain("Run 17 succeeded after 1.2 s");
    expect(output).toMatch(/^ {2}send-due +did not run$/m);
    expect(aws.invocations).toEqual([{ type: "RequestResponse", event: { trigger: "manual" } }]);
    expect(aws.requests).toEqual([
      "GET /schedules/backstop-dev-follow-ups",
      `POST /2015-03-31/functions/${FUNCTION}/invocations`,
    ]);
    expect(current()).toEqual(aSchedule);
  });

  it.each([
    ["is paused", { State: "DISABLED" }],
    ["has ended", { EndDate: 1_600_000_000 }],
  ])("works while the schedule %s", async (_, fields) => {
    aws.schedules.set("backstop-dev/backstop-dev-follow-ups", { ...aSchedule, ...fields });
    expect(await run("run-now")).toContain("Run 17 succeeded");
    expect(current()).toEqual({ ...aSchedule, ...fields });
  });

  it.each([":live", ":12", ":$LATEST"])("keeps the qualifier %s of the target", async (qualifier) => {
    const Target = { ...aSchedule.Target, Arn: `${FUNCTION}${qualifier}` };
    aws.schedules.set("backstop-dev/backstop-dev-follow-ups", { ...aSchedule, Target });
    await run("run-now");
    expect(invocations()).toEqual([`POST /2015-03-31/functions/${FUNCTION}${qualifier}/invocations`]);
  });

  it.each([400, 500, 503] as const)("fails if the run answers %i, and prints its errors", async (statusCode) => {
    aws.invoked = { payload: aReport({ statusCode, success: false, errors: ["send-due: out of paper"] }) };
    const lines: string[] = [];
    const result = print(lines, "run-now");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow(`the run failed with status ${statusCode}`);
    expect(lines.join("\n")).toContain("send-due: out of paper");
  });

  it("prints the report of another version as JSON", async () => {
    const payload = { statusCode: 200, success: true, runId: "18", errors: [] };
    aws.invoked = { payload };
    expect(JSON.parse(await run("run-now"))).toEqual(payload);
  });

  it("fails with the function's own error if the function fails", async () => {
    const payload = { errorType: "Sandbox.Timedout", errorMessage: "Task timed out: connect ECONNREFUSED" };
    aws.invoked = { payload, functionError: "Unhandled" };
    const result = run("run-now");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow(/^the function failed \(Unhandled\): .*Task timed out/);
    expect(invocations()).toHaveLength(1);
  });

  it("fails if the function returns no report", async () => {
    aws.invoked = { payload: "hello" };
    await expect(run("run-now")).rejects.toThrow('the function returned no report, but "hello"');
  });

  it("does not repeat an invocation without an answer, and says that the run may have started", async () => {
    aws.invoked = { payload: null, instead: "close" };
    const result = run("run-now");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow("the run may have started");
    expect(invocations()).toHaveLength(1);
  });

  it("waits longer than a run may take, and then does not repeat the invocation", async () => {
    aws.invoked = { payload: null, instead: "wait" };
    const timeout = jest.spyOn(AbortSignal, "timeout").mockImplementation(() => {
      const limit = new AbortController();
      setTimeout(() => limit.abort(), 200);
      return limit.signal;
    });
    try {
      await expect(run("run-now")).rejects.toThrow("the run may have started");
      expect(timeout.mock.calls).toEqual([[120_000]]);
    } finally {
      timeout.mockRestore();
    }
    expect(invocations()).toHaveLength(1);
  });

  it("has the advice of `invoke --stage`, which passes any event to the function of the stage", async () => {
    expect(await invokeRunOf("dev", { dryRun: true })).toMatchObject({ runId: "17" });
    expect(aws.invocations).toEqual([{ type: "RequestResponse", event: { dryRun: true } }]);
    expect(aws.requests).toEqual(["POST /2015-03-31/functions/backstop-dev-follow-ups/invocations"]);
    aws.invocationRefusal = { status: 404, type: "ResourceNotFoundException" };
    await expect(invokeRunOf("dev", {})).rejects.toThrow("there is no function backstop-dev-follow-ups");
    expect(() => invokeRunOf("Dev!", {})).toThrow("not a valid stage name");
  });

  it.each([
    [429, "TooManyRequestsException", "started no run"],
    [403, "AccessDeniedException", "lambda:InvokeFunction"],
    [404, "ResourceNotFoundException", "there is no function"],
    [500, "ServiceException", "may have started"],
  ])("invokes once and gives advice when Lambda answers %i %s", async (status, type, advice) => {
    aws.invocationRefusal = { status, type };
    const result = run("run-now");
    await expect(result).rejects.toThrow(Problem);
    await expect(result).rejects.toThrow(advice);
    expect(invocations()).toHaveLength(1);
  });

  it("gives advice when Lambda is unreachable", async () => {
    process.env["AWS_ENDPOINT_URL_LAMBDA"] = "http://127.0.0.1:1";
    await expect(run("run-now")).rejects.toThrow(/^Lambda cannot be reached: /);
  });

  it("rejects a schedule that targets no function", async () => {
    const Target = { ...aSchedule.Target, Arn: "arn:aws:sqs:eu-central-1:111122223333:queue" };
    aws.schedules.set("backstop-dev/backstop-dev-follow-ups", { ...aSchedule, Target });
    await expect(run("run-now")).rejects.toThrow("targets no function: deploy the stage again");
    expect(invocations()).toEqual([]);
  });
});

describe("the selected schedule", () => {
  it("is the one of the stage", async () => {
    aws.schedules.set("backstop-production/backstop-production-follow-ups", { ...aSchedule, State: "DISABLED" });
    expect(await run("status", "--stage", "production")).toContain("backstop-production-follow-ups is paused");
  });

  it("can be named explicitly", async () => {
    aws.schedules.set("ours/nightly", aSchedule);
    expect(await run("pause", "--group", "ours", "--name", "nightly")).toContain("ours/nightly is now paused");
    expect(aws.schedules.get("ours/nightly")).toMatchObject({ State: "DISABLED" });
    expect(current()).toEqual(aSchedule);
  });

  it("is reported as missing, with advice", async () => {
    const missing = run("pause", "--stage", "staging");
    await expect(missing).rejects.toThrow(Problem);
    await expect(missing).rejects.toThrow("there is no schedule backstop-staging/backstop-staging-follow-ups");
  });

  it("cannot belong to an invalid stage", async () => {
    await expect(run("pause", "--stage", "No Stage")).rejects.toThrow(Problem);
    expect(aws.requests).toEqual([]);
  });
});

describe("an error that a person can fix is one line", () => {
  it.each([
    [403, "AccessDeniedException", "iam:PassRole"],
    [403, "ExpiredTokenException", "sign in again"],
    [409, "ConflictException", "try again"],
  ])("when AWS answers %i %s", async (status, type, advice) => {
    aws.refusals.push({ status, type });
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
  aws.refusals.push({ status: 400, type: "ValidationException" });
  await expect(run("status")).rejects.not.toThrow(Problem);
});

function current(): unknown {
  return aws.schedules.get("backstop-dev/backstop-dev-follow-ups");
}

async function run(...words: readonly string[]): Promise<string> {
  const lines: string[] = [];
  await print(lines, ...words);
  return lines.join("\n");
}

async function print(lines: string[], ...words: readonly string[]): Promise<void> {
  await scheduleCommand((line) => lines.push(line)).parseAsync(words, { from: "user" });
}
