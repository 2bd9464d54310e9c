import { readFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as z from "zod";
import { PROJECT } from "../../infra/bundle.ts";
import type { Report } from "../../lib/run/report.ts";
import { closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { anExample, REVISION } from "../infra/example.ts";
import { addFollowedLead, addSequence, addWorkspace, type Sequence } from "../support/factories.ts";
import { type Artefact, type Artefacts, synthesise } from "../support/lambda/artefacts.ts";
import { createProxiedDatabase, type ProxiedDatabase } from "../support/lambda/proxied-database.ts";
import type { Answer } from "../support/lambda/runtime-api.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";
import { long } from "../support/long.ts";
import { until } from "../support/transactions.ts";
import { deleteAll } from "../support/use-database.ts";

let artefacts: Artefacts;
let artefact: Artefact;
let database: ProxiedDatabase;
let ses: HttpDouble;
let workspaceId: string;
let chase: Sequence;
const workers: LambdaWorker[] = [];

const accept = (response: ServerResponse) =>
  response.writeHead(200, { "content-type": "application/json" }).end('{"MessageId":"from-ses"}');
/** SES's answer to the next e-mails. */
let answer: (response: ServerResponse) => unknown = accept;

beforeAll(async () => {
  artefacts = await synthesise(anExample());
  artefact = artefacts.of("backstop-dev-follow-ups");
  database = await createProxiedDatabase();
});

beforeEach(async () => {
  answer = accept;
  ses = await httpServer((response) => void answer(response));
  workspaceId = await addWorkspace(database.sql);
  chase = await addSequence(database.sql, workspaceId);
});

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.close();
  await closeServers();
  await deleteAll(database.sql);
});

afterAll(async () => {
  await database.drop();
});

async function start(environment: Readonly<Record<string, string>> = {}): Promise<LambdaWorker> {
  const local = { ...database.environment, AWS_ENDPOINT_URL_SESV2: `http://127.0.0.1:${ses.port}` };
  const { bundle } = artefact;
  const worker = await startWorker({ bundle, environment: { ...artefact.environment, ...local, ...environment } });
  workers.push(worker);
  return worker;
}

async function addDue(count: number): Promise<readonly string[]> {
  const leads: string[] = [];
  for (let number = 0; number < count; number++) {
    leads.push((await addFollowedLead(database.sql, workspaceId, chase.id)).leadId);
  }
  return leads;
}

const book = (leadId: string | undefined) =>
  database.sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);

function reportIn(told: Answer): Report {
  if (told.kind === "response") return told.body as Report;
  throw new Error(`the function threw ${told.errorType}: ${told.errorMessage}`);
}

/** The text of a place such as `lib/run/run.ts:12`. */
async function sourceLine(place: string): Promise<string | undefined> {
  const [file = "", line] = place.split(":");
  return (await readFile(join(PROJECT, file), "utf8")).split("\n")[Number(line) - 1];
}

const TICK = { trigger: "schedule", scheduledTime: "2026-11-25T09:00:00Z" };

describe("the artefact, under the AWS runtime client, over TLS and with an IAM token,", () => {
  long.it("executes a scheduled run, and writes its log and its metrics", async () => {
    const [booked] = await addDue(3);
    await book(booked);
    const worker = await start();
    const report = reportIn(await worker.invoke(TICK));
    expect(report).toMatchObject({
      success: true,
      trigger: "schedule",
      backstop: { completedCount: 1 },
      results: { due: 2, delivery: { sent: 2 } },
    });
    expect(ses.requests).toHaveLength(2);
    expect(new Set(database.proxy.attempts)).toEqual(new Set(["let in"]));
    const lines = await until("the log is written", async () => {
      const found = worker.lines.filter((line) => line["message"] === "run.finished" || line["_aws"]);
      return found.length === 2 ? found : undefined;
    });
    const service = "backstop-dev-follow-ups";
    expect(lines).toContainEqual(
      expect.objectContaining({ message: "run.finished", service, revision: REVISION, report: expect.anything() }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({
        service,
        SuccessfulRuns: 1,
        BackstopCompletions: 1,
        SentTouches: 2,
        UnknownTouches: 0,
      }),
    );
  });

  it("returns the report of a manual event, also of a failed run", async () => {
    await addDue(1);
    const worker = await start();
    expect(reportIn(await worker.invoke({ dryRun: true }))).toMatchObject({
      success: true,
      dryRun: true,
      results: { due: 1 },
    });
    expect(ses.requests).toEqual([]);
    expect(reportIn(await worker.invoke({ trigger: "manual", steps: ["send-due"] }))).toMatchObject({
      statusCode: 400,
      reason: "invalid_event",
      errors: [expect.stringContaining('unknown key "steps"')],
    });
  });

  long.it("throws on an invalid event of the schedule", async () => {
    const worker = await start();
    expect(await worker.invoke({ ...TICK, limit: 0 })).toMatchObject({
      kind: "error",
      errorType: "RunFailed",
      errorMessage: expect.stringContaining("limit"),
      trace: expect.arrayContaining([expect.stringMatching(/\(functions\/followups\.ts:\d+:\d+\)$/)]),
    });
    expect(reportIn(await worker.invoke(TICK))).toMatchObject({ success: true });
  });

  long.it("does nothing on a duplicate tick", async () => {
    await addDue(2);
    const worker = await start();
    expect(reportIn(await worker.invoke(TICK))).toMatchObject({ results: { delivery: { sent: 2 } } });
    expect(reportIn(await worker.invoke(TICK))).toMatchObject({ success: true, results: { due: 0, backlog: 0 } });
    expect(ses.requests).toHaveLength(2);
  });

  long.it("sends once if two workers overlap, and the second still completes booked leads", async () => {
    const waiting = Promise.withResolvers<ServerResponse>();
    answer = waiting.resolve;
    await addDue(1);
    const [first, second] = [await start(), await start()];
    const running = first.invoke(TICK);
    const mail = await waiting.promise;
    answer = accept;
    const [booked] = await addDue(1);
    await book(booked);
    expect(reportIn(await second.invoke(TICK))).toMatchObject({
      success: true,
      reason: "locked",
      backstop: { completedCount: 1 },
      results: null,
    });
    expect(ses.requests).toHaveLength(1);
    accept(mail);
    expect(reportIn(await running)).toMatchObject({
      success: true,
      skipped: false,
      results: { delivery: { sent: 1 } },
    });
    expect(ses.requests).toHaveLength(1);
  });

  long.it("continues after a freeze in which its connections died", async () => {
    const worker = await start();
    reportIn(await worker.invoke(TICK));
    worker.freeze();
    expect(await database.killConnections()).toBeGreaterThan(0);
    await addDue(1);
    worker.thaw();
    expect(reportIn(await worker.invoke(TICK))).toMatchObject({ success: true, results: { delivery: { sent: 1 } } });
  });
});

describe("at its time limit the artefact", () => {
  const hurried = { RUN_SAFETY_MARGIN_MS: "2000", RUN_SENDS_AT_ONCE: "1" };

  long.it("stops before the limit, and leaves the rest due", async () => {
    await addDue(60);
    answer = (response) => setTimeout(accept, 100, response);
    const worker = await start(hurried);
    await worker.initialised;
    const report = reportIn(await worker.invoke(TICK, 5_000));
    const { backlog = 0, delivery } = report.results ?? {};
    const sent = delivery?.sent ?? 0;
    expect(report).toMatchObject({ success: true, reason: "out_of_time" });
    expect([sent > 0, backlog > 0, sent + backlog]).toEqual([true, true, 60]);
    expect(ses.requests).toHaveLength(sent);
  });

  long.it(
    "can be killed: the lock is free for the next worker, and the touch in flight is not sent again",
    async () => {
      const waiting = Promise.withResolvers<ServerResponse>();
      answer = waiting.resolve;
      await addDue(1);
      const worker = await start(hurried);
      await worker.initialised;
      const cutOff = expect(worker.invoke(TICK, 4_000)).rejects.toThrow("the worker has ended");
      await waiting.promise;
      answer = accept;
      await cutOff;
      const next = await start();
      expect(reportIn(await next.invoke(TICK))).toMatchObject({ success: true, skipped: false, results: { due: 0 } });
      expect(ses.requests).toHaveLength(1);
    },
  );
});

describe("the artefact reports", () => {
  it("all faults of its environment before the first invocation", async () => {
    const { DATABASE_HOST, DATABASE_USER, EMAIL_TRANSPORT } = {
      DATABASE_HOST: "",
      DATABASE_USER: "",
      EMAIL_TRANSPORT: "pigeon",
    };
    const worker = await start({ DATABASE_HOST, DATABASE_USER, EMAIL_TRANSPORT });
    const failed = worker.initialised.then(
      () => "it was loaded",
      (thrown: Error) => thrown.message,
    );
    for (const name of ["DATABASE_HOST", "DATABASE_USER", "EMAIL_TRANSPORT"]) expect(await failed).toContain(name);
    expect(await failed).not.toContain("pigeon");
  });

  long.it("an unreachable database if it does not trust the certificate, and sends nothing", async () => {
    await addDue(1);
    const worker = await start({ NODE_EXTRA_CA_CERTS: "" });
    expect(reportIn(await worker.invoke({}))).toMatchObject({
      statusCode: 503,
      success: false,
      reason: "database_unreachable",
      backstop: null,
      results: null,
      errors: [expect.stringContaining("self-signed certificate")],
    });
    expect(ses.requests).toEqual([]);
    const trusting = await start();
    expect(reportIn(await trusting.invoke({}))).toMatchObject({ success: true, results: { delivery: { sent: 1 } } });
    expect(ses.requests).toHaveLength(1);
  });

  it("an unreachable database if its token is rejected", async () => {
    const worker = await start({ AWS_SECRET_ACCESS_KEY: "the wrong one" });
    expect(reportIn(await worker.invoke({}))).toMatchObject({
      statusCode: 503,
      reason: "database_unreachable",
      errors: [expect.stringContaining("its signature is wrong")],
    });
    const { error } = z
      .object({ error: z.object({ location: z.string(), stack: z.string() }) })
      .parse(
        await until("the error is written", async () => worker.lines.find(({ message }) => message === "run.failed")),
      );
    expect(error.stack).toContain(`(${error.location}:`);
    expect(await sourceLine(error.location)).toContain("new DatabaseUnreachable(");
  });
});
