import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { diagnose, remedyFor } from "../../../cli/commands/doctor.ts";
import { stageChecks } from "../../../cli/stage-checks.ts";
import { type Check, inOrder } from "../../../lib/operate/checks.ts";
import { DATABASE_CHECKS } from "../../../lib/operate/doctor.ts";
import { closeServers, type HttpDouble, httpServer } from "../../channels/servers.ts";
import { addLead, addSequence, addWorkspace } from "../../support/factories.ts";
import { useDatabase } from "../../support/use-database.ts";

const { sql, database } = await useDatabase({ empty: true });
const LOCAL = { folder: "/nowhere" };

interface Answered {
  readonly status?: number;
  readonly type?: string;
  readonly body: unknown;
}

let aws: HttpDouble;
let answers: Record<string, Answered>;

beforeEach(async () => {
  answers = {
    schedule: { body: { State: "ENABLED", ScheduleExpression: "rate(1 minute)" } },
    GetQueueUrl: { status: 400, type: "QueueDoesNotExist", body: { __type: "QueueDoesNotExist" } },
    account: {
      body: {
        ProductionAccessEnabled: true,
        SendingEnabled: true,
        SendQuota: { Max24HourSend: 200, SentLast24Hours: 5, MaxSendRate: 14 },
      },
    },
    "example.com": { body: { VerifiedForSendingStatus: true } },
  };
  aws = await httpServer((response) => answerTo(response));
  Object.assign(process.env, {
    DATABASE_URL: database.url,
    AWS_ENDPOINT_URL: `http://127.0.0.1:${aws.port}`,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "a-secret-of-this-test",
  });
});

afterEach(closeServers);

function answerTo(response: ServerResponse): void {
  const { path = "", headers } = aws.requests.at(-1) ?? {};
  const target = String(headers?.["x-amz-target"] ?? "");
  const key = Object.keys(answers).find((part) => target.endsWith(part) || path.endsWith(part)) ?? "";
  const found = path.startsWith("/schedules/") ? answers["schedule"] : answers[key];
  const { status = 200, type, body } = found ?? { status: 404, type: "NotFoundException", body: {} };
  response.writeHead(status, { "content-type": "application/json", ...(type && { "x-amzn-errortype": type }) });
  response.end(JSON.stringify(body));
}

const addRun = (minutesAgo: number, report: object = { backstop: { slowestSeconds: 20 } }, success = true) =>
  sql.query(
    `insert into run (trigger, request_id, started_at, deadline_at, finished_at, success, report)
     values ('schedule', 'r', now() - $1 * interval '1 minute', now(), now(), $2, $3)`,
    [minutesAgo, success, report],
  );

const stateOf = async (name: string) => (await diagnose(LOCAL)).find((result) => result.name === name);

const ofStage = async (senders: readonly string[]) => {
  const passed = { name: "workspaces", state: "passed", found: "", remedy: null } as const;
  return (await inOrder(stageChecks("dev", senders), [passed])).slice(1);
};

it("passes every check of a database that runs, in the order of the list", async () => {
  await addWorkspace(sql);
  await addRun(2);
  await addRun(1);
  const results = await diagnose(LOCAL);
  expect(results.map(({ name }) => name)).toEqual(DATABASE_CHECKS);
  expect(results.filter(({ state }) => state !== "passed")).toEqual([]);
});

it("names a remedy for what is missing, and skips what needs it", async () => {
  expect(await stateOf("workspaces")).toMatchObject({ state: "failed", remedy: expect.stringContaining("apply") });
  expect(await stateOf("last run")).toMatchObject({
    state: "failed",
    remedy: expect.stringContaining("npm run backstop -- invoke"),
  });
  expect(await stateOf("promise")).toEqual({
    name: "promise",
    state: "skipped",
    found: "needs last run",
    remedy: null,
  });
  await addRun(1, { reason: "database_unreachable" }, false);
  expect(await stateOf("last run")).toMatchObject({ state: "failed", remedy: expect.stringContaining("runs show") });
});

it("fails the promise if a stop took longer than the time between two runs", async () => {
  await addRun(2);
  await addRun(1, { backstop: { slowestSeconds: 400 } });
  expect(await stateOf("promise")).toMatchObject({ state: "failed", remedy: expect.stringContaining("at most 90 s") });
});

it("fails unsubscribe links if an active sequence needs them and the latest run had none", async () => {
  const workspaceId = await addWorkspace(sql);
  await addRun(2, { unsubscribeLinks: false });
  expect(await stateOf("unsubscribe")).toMatchObject({ state: "passed" });
  const steps = [{ body: "Stop: {{unsubscribe_url}}" }];
  await addSequence(sql, workspaceId, { name: "Asleep", active: false, steps });
  expect(await stateOf("unsubscribe")).toMatchObject({ state: "passed" });
  await addSequence(sql, workspaceId, { name: "Chase", steps });
  expect(await stateOf("unsubscribe")).toMatchObject({
    state: "failed",
    found: "no links, but texts of Chase need one",
    remedy: expect.stringContaining("touches retry"),
  });
  await addRun(1, { unsubscribeLinks: true });
  expect(await stateOf("unsubscribe")).toMatchObject({ state: "passed", found: "messages have links" });
});

it("says how late bookings without a webhook are known, and fails if a booking tool cannot be read", async () => {
  const workspaceId = await addWorkspace(sql);
  expect(await stateOf("booking tools")).toMatchObject({
    state: "passed",
    found: expect.stringContaining("webhook only"),
  });
  const sweep = (minutes: number, fault: string | null) =>
    sql.query(
      `insert into connection_sweep (workspace_id, tool, sweep_window, first_at, swept_at, tried_at, fault, seen, changed)
       values ($1, 'calendly', 'hot', now() - interval '1 day', now() - $2 * interval '1 minute', now(), $3, 0, 0)
           on conflict (workspace_id, tool, sweep_window) do update set swept_at = excluded.swept_at, fault = excluded.fault`,
      [workspaceId, minutes, fault],
    );
  await sweep(6, "throttled");
  expect(await stateOf("booking tools")).toMatchObject({ state: "passed", found: expect.stringContaining("7 min") });
  await sweep(90, "unavailable");
  expect(await stateOf("booking tools")).toMatchObject({
    state: "failed",
    found: expect.stringContaining("the tool does not answer"),
    remedy: "docs/runbook.md#sweep-age",
  });
});

it("names the workspaces whose texts offer times while none is reported, or the report is too old", async () => {
  const workspaceId = await addWorkspace(sql);
  expect(await stateOf("free times")).toMatchObject({ state: "passed", found: "no active sequence offers any" });
  await addSequence(sql, workspaceId, { name: "Offer", steps: [{ body: "Shall we talk?\n{{ slots }}" }] });
  const waiting = { state: "failed", remedy: "docs/connect.md#offer-free-times" };
  expect(await stateOf("free times")).toMatchObject(waiting);
  const report = (minutes: number) =>
    sql.query(
      `insert into availability (workspace_id, tool, taken_at, starts_at, ends_at, version)
       values ($1, 'calendly', now() - $2 * interval '1 minute', '{}', '{}', 1)
           on conflict (workspace_id, tool) do update set taken_at = excluded.taken_at`,
      [workspaceId, minutes],
    );
  await report(31);
  expect(await stateOf("free times")).toMatchObject(waiting);
  await report(29);
  expect(await stateOf("free times")).toMatchObject({ state: "passed" });
});

it("fails the migrations if one is missing, and skips what needs them", async () => {
  const { rows } = await sql.query("select * from _prisma_migrations order by migration_name desc limit 1");
  await sql.query("delete from _prisma_migrations where id = $1", [rows[0].id]);
  const results = await diagnose(LOCAL);
  await sql.query("insert into _prisma_migrations select * from json_populate_record(null::_prisma_migrations, $1)", [
    JSON.stringify(rows[0]),
  ]);
  const states = Object.fromEntries(results.map(({ name, state }) => [name, state]));
  expect(states).toMatchObject({ database: "passed", migrations: "failed", "last run": "skipped", promise: "skipped" });
});

describe("the settings of the roles that write", () => {
  const role = `writer_${randomBytes(4).toString("hex")}`;
  const database_ = () => new URL(database.url).pathname.slice(1);
  const set = (statement: string) => sql.query(`alter role ${role} ${statement}`);

  beforeAll(async () => {
    await sql.query(`create role ${role} login; grant insert on touch to ${role}`);
  });

  afterAll(async () => {
    await sql.query(`drop owned by ${role}; drop role ${role}`);
  });

  beforeEach(() => set("reset all"));

  it.each([
    ["set synchronous_commit = off", "synchronous_commit is off"],
    ["set synchronous_commit = 'no'", "synchronous_commit is off"],
    ["set default_transaction_read_only = 'yes'", "default_transaction_read_only is on"],
    ["set idle_in_transaction_session_timeout = '5s'", "idle_in_transaction_session_timeout is 5"],
    ["set idle_in_transaction_session_timeout = 5000", "idle_in_transaction_session_timeout is 5"],
    ["set datestyle = 'german'", "DateStyle is GERMAN"],
    ["set search_path = pg_catalog, public", "schema"],
    ["connection limit 2", "CONNECTION LIMIT -1"],
  ])("%s: fails, with the statement that fixes it", async (statement, remedy) => {
    expect(await stateOf("settings")).toMatchObject({ state: "passed" });
    await set(statement);
    const failed = await stateOf("settings");
    expect(failed).toMatchObject({ state: "failed", remedy: expect.stringContaining(remedy) });
    expect(failed?.remedy).toContain(`ALTER ROLE ${role} `);
    await set("connection limit -1");
  });

  it("that are the same in another notation pass, and a setting for this database wins", async () => {
    await set("set default_transaction_isolation = 'READ COMMITTED'");
    await set("set idle_in_transaction_session_timeout = '1h'");
    await set("set array_nulls = 'true'");
    await set("set synchronous_commit = off");
    await set(`in database ${database_()} set synchronous_commit = on`);
    expect(await stateOf("settings")).toMatchObject({ state: "passed" });
    await set(`in database ${database_()} reset all`);
    expect(await stateOf("settings")).toMatchObject({ state: "failed" });
  });
});

it("says how many connections are left, and the senders of leads", async () => {
  const workspaceId = await addWorkspace(sql, { email_from: "hana@harbour.example" });
  for (const sender_email of ["ben@harbour.example", "ben@harbour.example", null]) {
    await addLead(sql, workspaceId, { sender_email });
  }
  expect(await stateOf("connections")).toMatchObject({
    state: "passed",
    found: expect.stringMatching(/the server has \d+, with 4 or more/),
  });
  expect(await stateOf("workspaces")).toMatchObject({ found: "senders of workspaces: 1, of leads: 1" });
});

it("passes a stage whose schedule runs and whose senders are verified, as an address or by their domain", async () => {
  const results = await ofStage(["Ada <ada@example.com>"]);
  expect(results.map(({ name, state }) => [name, state])).toEqual([
    ["schedule", "passed"],
    ["queues", "passed"],
    ["SES account", "passed"],
    ["SES identities", "passed"],
  ]);
});

it("fails a paused schedule, a full queue and a sender that is not verified, each with its remedy", async () => {
  answers["schedule"] = { body: { State: "DISABLED" } };
  answers["GetQueueUrl"] = { body: { QueueUrl: `http://127.0.0.1:${aws.port}/queue` } };
  answers["GetQueueAttributes"] = { body: { Attributes: { ApproximateNumberOfMessages: "3" } } };
  const [schedule, queues, account, identities] = await ofStage(["ada@other.example"]);
  expect(schedule).toMatchObject({ state: "failed", remedy: expect.stringContaining("schedule resume --stage dev") });
  expect(queues).toMatchObject({ state: "failed", found: expect.stringContaining("3 in backstop-dev-failed-runs") });
  expect(account?.state).toBe("passed");
  expect(identities).toMatchObject({ state: "failed", found: expect.stringContaining("ada@other.example") });
});

it("fails a schedule that does not exist and a call that is denied, each with its remedy", async () => {
  answers["schedule"] = { status: 404, type: "ResourceNotFoundException", body: { Message: "not found" } };
  answers["account"] = { status: 403, type: "AccessDeniedException", body: { message: "no ses:GetAccount" } };
  const passed = { name: "workspaces", state: "passed", found: "", remedy: null } as const;
  const [, schedule, , account] = await inOrder(stageChecks("dev", []), [passed], remedyFor);
  expect(schedule).toMatchObject({ state: "failed", remedy: expect.stringContaining("cdk deploy -c stage=dev") });
  expect(account).toMatchObject({ state: "failed", remedy: expect.stringMatching(/no ses:GetAccount.*on-call\.json/) });
});

it("fails an account in the sandbox, and skips the identities", async () => {
  answers["account"] = { body: { ProductionAccessEnabled: false, SendingEnabled: true } };
  const results = await ofStage(["ada@example.com"]);
  expect(results.slice(2).map(({ state }) => state)).toEqual(["failed", "skipped"]);
});

it("skips a check if one that it needs was skipped, and throws an error without advice", async () => {
  const check = (name: string, needs: readonly string[], remedy?: string): Check => ({
    name,
    needs,
    run: async () => ({ found: "x", ...(remedy && { remedy }) }),
  });
  const results = await inOrder([check("one", [], "mend it"), check("two", ["one"]), check("three", ["two"])], []);
  expect(results.map(({ state }) => state)).toEqual(["failed", "skipped", "skipped"]);
  const throwing: Check = { name: "four", run: () => Promise.reject(new Error("a bug")) };
  await expect(inOrder([throwing], [])).rejects.toThrow("a bug");
  expect(await inOrder([throwing], [], () => "sign in")).toMatchObject([{ state: "failed", remedy: "sign in" }]);
});
