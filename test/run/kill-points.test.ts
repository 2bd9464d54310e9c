import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import * as z from "zod";
import { CHANNELS, type Channel } from "../../lib/domain/labels.ts";
import { loadConfig, runSettings } from "../../lib/platform/config.ts";
import { wire } from "../../lib/platform/wire.ts";
import { runFollowUps } from "../../lib/run/run.ts";
import { prepareAws, touchIn } from "../channels/aws.ts";
import { answering, closeServers, type HttpDouble, httpServer, smtpServer } from "../channels/servers.ts";
import { SECRET } from "../channels/webhook-endpoint.ts";
import { startProgram } from "../support/child-process.ts";
import { createDatabase } from "../support/database.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, FAR_AHEAD, LONG_AGO } from "../support/factories.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { openPool } from "../support/use-database.ts";

const NOW = new Date("2030-01-07T12:00:00.000Z");
const HOUR_MS = 60 * 60_000;
const silent = { info: () => undefined, error: () => undefined };

let smtp: { port: number; mails: readonly string[] };
let receiver: HttpDouble;
let texts: HttpDouble;

beforeAll(async () => {
  smtp = await smtpServer({});
  receiver = await httpServer(answering(204));
  const accepted = { "content-type": "application/x-amz-json-1.0" };
  texts = await httpServer(answering(200, JSON.stringify({ MessageId: "m-1" }), accepted));
  prepareAws();
  process.env["AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2"] = `http://127.0.0.1:${texts.port}`;
});
afterAll(closeServers);

const environmentFor = (url: string) => ({
  DATABASE_URL: url,
  EMAIL_TRANSPORT: "smtp",
  SMTP_URL: `smtp://127.0.0.1:${smtp.port}`,
  WEBHOOK_URL: `http://127.0.0.1:${receiver.port}/`,
  WEBHOOK_NETWORK: "any",
  WEBHOOK_SECRET: SECRET,
  AWS_REGION: "eu-central-1",
  SMS_ORIGINATION_IDENTITY: "pool-1",
  // Fewer than are due: all claimers take a turn before any has claimed, so each gets what the others left.
  RUN_BATCH_SIZE: "3",
});

/**
 * Adds one lead of each kind: due on each channel, booked and chased, with a due retry, with a dead sender. Adds a due
 * digest by e-mail and webhook.
 */
async function addOneOfEach(sql: pg.Pool): Promise<void> {
  const hook = `http://127.0.0.1:${receiver.port}/digests`;
  const digest = { digest_email: "a@b.test", digest_webhook_url: hook, next_digest_at: "2030-01-07T08:00Z" };
  const listenerId = await addWorkspace(sql, digest);
  await sql.query(
    "insert into notification_event (workspace_id, kind, occurred_at) values ($1, 'backstop_completed', '2030-01-07T07:00Z')",
    [listenerId],
  );
  const workspaceId = await addWorkspace(sql, { daily_cap: 100 });
  for (const step of [{}, {}, { channel: "sms" }, { channel: "webhook" }, { channel: "task" }]) {
    await addFollowedLead(sql, workspaceId, (await addSequence(sql, workspaceId, { steps: [step] })).id);
  }
  const { id, steps } = await addSequence(sql, workspaceId);
  const { leadId } = await addFollowedLead(sql, workspaceId, id);
  await sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
  const completed = { instance: { status: "completed" } };
  const retry = await addFollowedLead(sql, workspaceId, id, completed);
  const due = { next_attempt_at: LONG_AGO, recheck_at: LONG_AGO, attempts: 1, failures: 1, send_until: FAR_AHEAD };
  await addTouch(sql, retry.instanceId, steps[0] ?? "", due);
  const died = await addFollowedLead(sql, workspaceId, id, completed);
  await addTouch(sql, died.instanceId, steps[0] ?? "", { status: "sending", recheck_at: LONG_AGO, attempts: 1 });
}

/** Runs once per simulated hour until nothing is left to do; fails if that takes more than 12 hours. */
async function runUntilDone(url: string, sql: pg.Pool): Promise<void> {
  const config = loadConfig(environmentFor(url));
  const { database, ...ports } = wire(config, silent);
  for (let hour = 1; hour <= 12; hour++) {
    const now = () => Promise.resolve(new Date(NOW.getTime() + hour * HOUR_MS));
    const invocation = { requestId: "after", remainingMs: () => 60_000 };
    const report = await runFollowUps({}, invocation, { ...ports, now }, runSettings(config));
    expect(report.errors).toEqual([]);
    const { rows } = await sql.query(`
      select from touch where status in ('claimed', 'sending')
      union all select from follow_up_instance where status = 'active'
      union all select from digest_delivery where status in ('pending', 'sending')
      union all select from workspace where next_digest_at < '2030-01-07T12:00Z'`);
    if (rows.length === 0) break;
    expect(hour).toBeLessThan(12);
  }
  await database.close();
}

const touchRow = z.object({
  id: z.uuid(),
  channel: z.enum(CHANNELS),
  status: z.string(),
  reason: z.string().nullable(),
  tasks: z.int(),
});

/** Number of calls for the touch, by provider. */
const callsFor = (touchId: string): Partial<Record<Channel, number>> => ({
  email: smtp.mails.filter((mail) => mail.includes(touchId)).length,
  sms: texts.requests.filter(({ body }) => touchIn(body) === touchId).length,
  webhook: receiver.requests.filter(({ headers }) => headers["webhook-id"] === touchId).length,
});

/** Checks the invariants that hold for every kill point. */
async function expectTheLaws(sql: pg.Pool): Promise<void> {
  const { rows } = await sql.query(
    `select id, channel::text, status::text, reason,
            (select count(*)::int from task where task.touch_id = touch.id) as tasks from touch`,
  );
  const touches = z.array(touchRow).parse(rows);
  // Five due steps, the retry and the dead sender's touch: no step was claimed twice.
  expect(touches).toHaveLength(7);
  for (const { id, channel, status, reason, tasks } of touches) {
    const calls = channel === "task" ? tasks : (callsFor(id)[channel] ?? 0);
    if (channel === "webhook") expect({ status, answered: calls > 0 }).toEqual({ status: "sent", answered: true });
    else if (channel === "task") expect({ status, calls }).toEqual({ status: "sent", calls: 1 });
    else if (status === "sent") expect({ channel, calls }).toEqual({ channel, calls: 1 });
    else {
      expect({ status, reason }).toEqual({ status: "unknown", reason: "sender_died" });
      expect(calls).toBeLessThanOrEqual(1);
    }
  }
  await expectTheLawsOfDigests(sql);
  const booked = await sql.query(
    "select instance.status, completed_reason from follow_up_instance as instance where lead_booked",
  );
  expect(booked.rows).toEqual([{ status: "completed", completed_reason: "meeting_booked" }]);
}

const deliveryRow = z.object({
  id: z.uuid(),
  channel: z.enum(["email", "webhook"]),
  status: z.enum(["sent", "unknown"]),
});

/** Each receiver got the digest once, or its delivery is `unknown`. */
async function expectTheLawsOfDigests(sql: pg.Pool): Promise<void> {
  const { rows } = await sql.query("select id, channel::text, status::text from digest_delivery order by channel");
  const deliveries = z.array(deliveryRow).parse(rows);
  expect(deliveries.map(({ channel }) => channel)).toEqual(["email", "webhook"]);
  for (const { id, channel, status } of deliveries) {
    const calls = receiver.requests.filter(({ headers }) => headers["idempotency-key"] === id).length;
    const told = channel === "email" ? smtp.mails.filter((mail) => mail.includes(id)).length : calls;
    if (status === "sent") expect(told).toBe(1);
    else expect(told).toBeLessThanOrEqual(1);
  }
}

async function onDatabase<Result>(work: (url: string, sql: pg.Pool) => Promise<Result>): Promise<Result> {
  const database = await createDatabase();
  const sql = openPool(database.url);
  try {
    await addOneOfEach(sql);
    return await work(database.url, sql);
  } finally {
    await sql.end();
    await database.drop();
  }
}

const runKilledAt = (point: number, url: string) =>
  startProgram("test/support/killed-run.ts", [String(point), NOW.toISOString()], { environment: environmentFor(url) });

const counted = z.object({ points: z.int(), success: z.literal(true), errors: z.array(z.string()) });

const LEAST_POINTS = 48;

describe("a run that is killed", () => {
  it("before or after any commit and any call of a provider leaves nothing twice, nothing stuck and nothing nameless", async () => {
    const { points } = await onDatabase(async (url, sql) => {
      const { stdout } = await runKilledAt(0, url).ended;
      await runUntilDone(url, sql);
      await expectTheLaws(sql);
      // Without a kill, only the dead sender's touch is `unknown`.
      const { rows } = await sql.query(`
        select (select count(*)::int from touch where status = 'unknown') as touches,
               (select count(*)::int from digest_delivery where status = 'unknown') as digests`);
      expect(rows).toEqual([{ touches: 1, digests: 0 }]);
      return counted.parse(JSON.parse(stdout));
    });
    // At least: the run's row twice, the backstop, two claims, three starts and settlements, the dead lease, six calls;
    // for digests: creation, take-up, two calls and two settlements.
    expect(points).toBeGreaterThanOrEqual(LEAST_POINTS);

    // A last, empty claim may add a point. The loop therefore ends at the first run that outlives its kill point.
    let next = 1 + Math.floor(Math.random() * ONE_CASE_IN);
    let killed = 0;
    let outlived = false;
    const killOneAfterTheOther = async () => {
      while (next <= points || !outlived) {
        const point = next;
        next += ONE_CASE_IN;
        await onDatabase(async (url, sql) => {
          const run = runKilledAt(point, url);
          const { stdout } = await run.ended;
          if (run.process.signalCode === "SIGKILL") killed += 1;
          else outlived = counted.parse(JSON.parse(stdout)).success;
          await runUntilDone(url, sql);
          await expectTheLaws(sql);
        });
      }
    };
    await Promise.all([killOneAfterTheOther(), killOneAfterTheOther()]);
    expect(killed).toBeGreaterThanOrEqual(Math.floor(LEAST_POINTS / ONE_CASE_IN));
  }, 420_000);
});
