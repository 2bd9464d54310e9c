import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { buildFunction } from "../../infra/build.ts";
import { entryOf } from "../../infra/bundle.ts";
import { DAY, meetingIn } from "../booking/reconciling.ts";
import { CALENDLY } from "../booking/stand-ins/calendly.ts";
import { type StandIn, standInOf, TOKEN } from "../booking/stand-ins/stand-in.ts";
import { closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { until } from "../support/transactions.ts";

const NAME = "backstop-dev-reconcile";
const [good, bad, withoutToken] = [randomUUID(), randomUUID(), randomUUID()];

let calendly: StandIn;
let eventBridge: HttpDouble;
let secretsManager: HttpDouble;
let worker: LambdaWorker;

/** Two pages, with secrets that are no connections of this stage. */
const PAGES = [
  [`backstop/dev/unsubscribe`, `backstop/dev/${good}/calendly`, `backstop/dev/${good}/facts`],
  [`backstop/dev/${bad}/calcom`, `backstop/dev/${withoutToken}/calendly`, `backstop/dev-2/${good}/calendly`],
];

function answerOfSecretsManager(target: string, body: string): object {
  const { NextToken, SecretId, Filters } = JSON.parse(body);
  if (target.endsWith("ListSecrets")) {
    expect(Filters).toEqual([{ Key: "name", Values: ["backstop/dev/"] }]);
    const names = PAGES[NextToken === undefined ? 0 : 1] ?? [];
    return { SecretList: names.map((Name) => ({ Name })), ...(NextToken === undefined && { NextToken: "2" }) };
  }
  const secrets: Readonly<Record<string, unknown>> = {
    [`backstop/dev/${good}/calendly`]: { apiToken: TOKEN, apiUrl: calendly.url, account: CALENDLY.settings.account },
    [`backstop/dev/${withoutToken}/calendly`]: { signingKeys: ["a key for webhooks"] },
  };
  return { SecretString: JSON.stringify(secrets[SecretId] ?? { apiToken: 7 }) };
}

beforeAll(async () => {
  const folder = await temporaryFolder();
  await buildFunction(entryOf("reconcile"), folder);
  calendly = await standInOf(CALENDLY);
  const json = { "content-type": "application/x-amz-json-1.1" };
  eventBridge = await httpServer((response: ServerResponse) => {
    response.writeHead(200, json).end('{"FailedEntryCount":0,"Entries":[]}');
  });
  secretsManager = await httpServer((response: ServerResponse) => {
    const { headers, body = "" } = secretsManager.requests.at(-1) ?? {};
    const target = String((headers as IncomingMessage["headers"] | undefined)?.["x-amz-target"] ?? "");
    response.writeHead(200, json).end(JSON.stringify(answerOfSecretsManager(target, body)));
  });
  worker = await startWorker({
    bundle: join(folder, "reconcile"),
    functionName: NAME,
    environment: {
      EVENT_BUS_NAME: "backstop-dev",
      CONNECTION_SECRETS_PREFIX: "backstop/dev",
      AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
      AWS_SECRET_ACCESS_KEY: "a-secret-of-this-test",
      AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${eventBridge.port}`,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${secretsManager.port}`,
    },
  });
});

afterAll(async () => {
  await worker.close();
  await calendly.close();
  await closeServers();
});

const entries = (): readonly { DetailType: string; Source: string; Detail: string }[] =>
  eventBridge.requests.flatMap(({ body }) => JSON.parse(body).Entries);
const reportOf = async () => {
  const answer = await worker.invoke({ trigger: "schedule" });
  return answer.kind === "response" ? answer.body : answer;
};

it("the artefact sweeps each connection, holds a bad secret alone, and sends nothing twice while it is warm", async () => {
  calendly.content.meetings = [meetingIn("ida", DAY)];
  expect(await reportOf()).toEqual({
    connections: 2,
    swept: 2,
    seen: 1,
    changed: 1,
    unread: 0,
    failed: 1,
    health: "degraded",
  });
  expect(new Set(entries().map(({ Source }) => Source))).toEqual(new Set(["backstop.reconcile"]));
  const bookings = () => entries().filter(({ DetailType }) => DetailType === "meeting.booked");
  expect(bookings()).toEqual([expect.objectContaining({ Detail: expect.stringContaining(good) })]);
  const swept = entries().flatMap(({ DetailType, Detail }) =>
    DetailType === "connection.swept" ? [JSON.parse(Detail)] : [],
  );
  expect(swept.map(({ workspaceId, fault }) => [workspaceId, fault])).toEqual(
    expect.arrayContaining([
      [good, null],
      [good, null],
      [bad, "invalid_secret"],
    ]),
  );
  expect(await reportOf()).toMatchObject({ connections: 2, swept: 0, changed: 0 });
  expect(bookings()).toHaveLength(1);
  const metrics = await until("the metrics are written", async () => worker.lines.find((line) => line["_aws"]));
  expect(metrics).toMatchObject({
    service: NAME,
    SuccessfulSweeps: 2,
    FailedSweeps: 1,
    ChangedMeetings: 1,
    UnreadMeetings: 0,
  });
  expect(worker.lines).toContainEqual(expect.objectContaining({ message: "reconcile.finished", health: "degraded" }));
  expect(JSON.stringify(worker.lines)).not.toMatch(new RegExp(`${TOKEN}|ida@`));
});
