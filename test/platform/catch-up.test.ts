import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { type CatchUp, catchUpOf } from "../../lib/platform/catch-up.ts";
import { loadConfig } from "../../lib/platform/config.ts";
import { prepareAws } from "../channels/aws.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { FakeScheduler } from "../support/fake-scheduler.ts";
import { openPool, openRunner, type Runner } from "../support/run.ts";

const FUNCTION = "arn:aws:lambda:eu-central-1:111122223333:function:backstop-dev-follow-ups";
const CONFIGURED = {
  CATCH_UP_SCHEDULE: "backstop-dev-follow-ups",
  CATCH_UP_GROUP: "backstop-dev",
  CATCH_UP_ROLE_ARN: "arn:aws:iam::111122223333:role/schedule",
  CATCH_UP_DEAD_LETTERS_ARN: "arn:aws:sqs:eu-central-1:111122223333:backstop-dev-undelivered-ticks",
};
const NOW = new Date("2026-11-25T09:00:30Z");
const SCHEDULED = { trigger: "schedule" };

let database: TestDatabase;
let sql: pg.Pool;
let runner: Runner;
let scheduler: FakeScheduler;
let catchUp: CatchUp | undefined;

beforeAll(async () => {
  prepareAws();
  database = await createDatabase();
  sql = openPool(database.url);
  runner = openRunner(database.url);
});

/** Three steps are due, and the stage's own schedule runs. */
beforeEach(async () => {
  scheduler = new FakeScheduler();
  scheduler.schedules.set("backstop-dev/backstop-dev-follow-ups", { State: "ENABLED" });
  process.env["AWS_ENDPOINT_URL_SCHEDULER"] = await scheduler.listen();
  catchUp = catchUpWith(CONFIGURED);
  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  for (let number = 0; number < 3; number++) await addFollowedLead(sql, workspaceId, id);
});

afterEach(async () => {
  await scheduler.close();
  await sql.query("truncate workspace cascade");
});

afterAll(async () => {
  await runner.close();
  await sql.end();
  await database.drop();
});

function catchUpWith(variables: Readonly<Record<string, string>>): CatchUp | undefined {
  const least = { DATABASE_URL: database.url, EMAIL_TRANSPORT: "files", OUTBOX_DIRECTORY: "unused" };
  return catchUpOf(loadConfig({ ...least, ...variables }));
}

const askAfter = async (event: object, changes: object = {}) =>
  catchUp?.(await runner.run(event, changes), FUNCTION, NOW);
const left = () => [...scheduler.schedules].filter(([key]) => key.includes("/catch-up-"));

describe("a run that leaves a backlog", () => {
  it("asks for one run at the next full minute, of this function, by the schedule's own role", async () => {
    expect(await askAfter({ ...SCHEDULED, limit: 1 })).toBe("made");
    expect(left()).toEqual([
      [
        "backstop-dev/catch-up-2026-11-25T09-01",
        expect.objectContaining({
          GroupName: "backstop-dev",
          ScheduleExpression: "at(2026-11-25T09:01:00)",
          ActionAfterCompletion: "DELETE",
          Target: {
            Arn: FUNCTION,
            RoleArn: CONFIGURED.CATCH_UP_ROLE_ARN,
            DeadLetterConfig: { Arn: CONFIGURED.CATCH_UP_DEAD_LETTERS_ARN },
            RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
            Input: '{"trigger":"catch_up","scheduledTime":"<aws.scheduler.scheduled-time>"}',
          },
        }),
      ],
    ]);
  });

  it("asks once, however many workers see it", async () => {
    expect(await askAfter({ ...SCHEDULED, limit: 1 })).toBe("made");
    expect(await askAfter({ trigger: "catch_up", limit: 1 })).toBe("there");
    expect(left()).toHaveLength(1);
  });

  it("asks for nothing while the stage is paused", async () => {
    scheduler.schedules.set("backstop-dev/backstop-dev-follow-ups", { State: "DISABLED" });
    expect(await askAfter({ ...SCHEDULED, limit: 1 })).toBe("paused");
    expect(left()).toEqual([]);
  });

  it("tells what AWS refuses, and does not take it for done", async () => {
    scheduler.refusals.push({ status: 403, type: "AccessDeniedException" });
    await expect(askAfter({ ...SCHEDULED, limit: 1 })).rejects.toMatchObject({ name: "AccessDeniedException" });
    expect(left()).toEqual([]);
  });
});

describe("nothing is asked for, and AWS is not bothered,", () => {
  afterEach(() => expect(scheduler.requests).toEqual([]));

  it("after a run that left nothing over", async () => {
    expect(await askAfter(SCHEDULED)).toBe("not_needed");
  });

  it("after a run that a person limited, or that only rehearsed", async () => {
    expect(await askAfter({ limit: 1 })).toBe("not_needed");
    expect(await askAfter({ ...SCHEDULED, dryRun: true, limit: 1 })).toBe("not_needed");
  });

  it("after a run that failed: it would fail again every minute", async () => {
    const store = { ...runner.ports.store, resumeSnoozed: () => Promise.reject(new Error("the step is broken")) };
    expect(await askAfter({ ...SCHEDULED, limit: 1 }, { store })).toBe("not_needed");
  });

  it("where the stack has configured nothing, for the next tick is near", () => {
    expect(catchUpWith({})).toBeUndefined();
  });
});

it("half a configuration is refused by name", () => {
  expect(() => catchUpWith({ CATCH_UP_GROUP: "backstop-dev" })).toThrow(
    /CATCH_UP_SCHEDULE: is needed for CATCH_UP_GROUP\n {2}CATCH_UP_ROLE_ARN: is needed for CATCH_UP_GROUP/,
  );
});
