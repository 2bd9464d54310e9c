import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { buildFunction } from "../../infra/build.ts";
import { entryOf } from "../../infra/bundle.ts";
import { unsubscribeToken } from "../../lib/inbound/unsubscribe-link.ts";
import { answering, closeServers, deadPort, type HttpDouble, httpServer } from "../channels/servers.ts";
import { anInvitee, calendly } from "../support/booking-payloads.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";
import { long } from "../support/long.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { until } from "../support/transactions.ts";
import { aRequest, KEYS, SIGNERS } from "../support/webhook-requests.ts";

const JSON_1_1 = { "content-type": "application/x-amz-json-1.1" };
const NAME = "backstop-dev-webhooks";
const workspaceId = randomUUID();

type Answer = Parameters<typeof httpServer>[0];
const accepting: Answer = answering(200, '{"FailedEntryCount":0,"Entries":[{"EventId":"e-1"}]}', JSON_1_1);
const telling: Answer = answering(
  200,
  JSON.stringify({ SecretString: JSON.stringify({ signingKeys: KEYS.calendly }) }),
  JSON_1_1,
);
const failing = (type: string, status = 400): Answer => answering(status, JSON.stringify({ __type: type }), JSON_1_1);

let eventBridge: HttpDouble;
let secretsManager: HttpDouble;
let bundle: string;
let worker: LambdaWorker;
/** The answers of the two services to the next requests. */
let ofEventBridge: Answer;
let ofSecretsManager: Answer;

beforeAll(async () => {
  const folder = await temporaryFolder();
  await buildFunction(entryOf("webhooks"), folder);
  bundle = join(folder, "webhooks");
  eventBridge = await httpServer((response) => ofEventBridge(response));
  secretsManager = await httpServer((response) => ofSecretsManager(response));
  worker = await start();
});

beforeEach(() => {
  [ofEventBridge, ofSecretsManager] = [accepting, telling];
});

afterAll(async () => {
  await worker.close();
  await closeServers();
});

const start = (environment: Readonly<Record<string, string>> = {}): Promise<LambdaWorker> =>
  startWorker({
    bundle,
    functionName: NAME,
    environment: {
      EVENT_BUS_NAME: "backstop-dev",
      CONNECTION_SECRETS_PREFIX: "backstop/dev",
      UNSUBSCRIBE_SECRET_ARN: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/dev/unsubscribe-AbCdEf",
      AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
      AWS_SECRET_ACCESS_KEY: "a-secret-of-this-test",
      AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${eventBridge.port}`,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${secretsManager.port}`,
      ...environment,
    },
  });

function aBooking(workspace = workspaceId, base64 = false) {
  const body = JSON.stringify(calendly("invitee.created", anInvitee()));
  const headers = SIGNERS.calendly(KEYS.calendly[0], body, new Date());
  return aRequest(`/calendly/${workspace}`, body, { headers, base64 });
}

const statusOf = async (event: unknown) => {
  const answer = await worker.invoke(event);
  return answer.kind === "response" ? (answer.body as { readonly statusCode: number }).statusCode : answer;
};

describe("the artefact of the webhooks function, under the AWS runtime client,", () => {
  it("puts a booking on the bus, answers when it is accepted, and emits its metrics", async () => {
    expect(await worker.invoke(aBooking(workspaceId, true))).toMatchObject({
      kind: "response",
      body: { statusCode: 200, body: '{"accepted":1}\n' },
    });
    const [request] = eventBridge.requests;
    expect(request?.headers["x-amz-target"]).toBe("AWSEvents.PutEvents");
    const { Entries } = JSON.parse(request?.body ?? "");
    expect(Entries).toEqual([
      {
        EventBusName: "backstop-dev",
        Source: "backstop.webhooks",
        DetailType: "meeting.booked",
        Detail: expect.stringContaining(`"workspaceId":"${workspaceId}"`),
      },
    ]);
    expect(JSON.parse(secretsManager.requests[0]?.body ?? "")).toEqual({
      SecretId: `backstop/dev/${workspaceId}/calendly`,
    });
    const line = await until("the metrics are written", async () => worker.lines.find((each) => each["_aws"]));
    expect(line).toMatchObject({ service: NAME, AcceptedFacts: 1, RejectedSignatures: 0 });
    expect(worker.lines).toContainEqual(expect.objectContaining({ message: "webhook.answered", outcome: "accepted" }));
    expect(JSON.stringify(worker.lines)).not.toContain("ida@");
  });

  it("answers 503 if the bus refuses an entry, although the call succeeds", async () => {
    const refused = { FailedEntryCount: 1, Entries: [{ ErrorCode: "ThrottlingException", ErrorMessage: "slow down" }] };
    ofEventBridge = answering(200, JSON.stringify(refused), JSON_1_1);
    expect(await statusOf(aBooking())).toBe(503);
    expect(worker.lines).toContainEqual(
      expect.objectContaining({ outcome: "unavailable", reason: "the event bus refused 1 facts: ThrottlingException" }),
    );
  });

  it("answers 503 if the bus fails", async () => {
    ofEventBridge = failing("InternalException", 500);
    expect(await statusOf(aBooking())).toBe(503);
  });

  it("answers 404 if there is no secret or it is being deleted, and 503 if Secrets Manager fails", async () => {
    for (const type of ["ResourceNotFoundException", "InvalidRequestException"]) {
      ofSecretsManager = failing(type);
      expect(await statusOf(aBooking(randomUUID()))).toBe(404);
    }
    for (const [type, status] of [
      ["AccessDeniedException", 400],
      ["InternalServiceError", 500],
    ] as const) {
      ofSecretsManager = failing(type, status);
      expect(await statusOf(aBooking(randomUUID()))).toBe(503);
    }
  });

  it("serves the unsubscribe page, and opts out by POST; 503 while its secret cannot be read", async () => {
    const key = "the key that the stack generated, long";
    const touchId = randomUUID();
    const path = `/unsubscribe/${unsubscribeToken({ workspaceId, touchId }, key)}`;
    ofSecretsManager = failing("AccessDeniedException");
    expect(await statusOf(aRequest(path, "", { method: "GET" }))).toBe(503);
    ofSecretsManager = answering(200, JSON.stringify({ SecretString: JSON.stringify({ current: key }) }), JSON_1_1);
    const before = eventBridge.requests.length;
    for (const method of ["GET", "HEAD"]) expect(await statusOf(aRequest(path, "", { method }))).toBe(200);
    expect(eventBridge.requests).toHaveLength(before);
    const posted = await worker.invoke(aRequest(path, "List-Unsubscribe=One-Click", { base64: true }));
    expect(posted).toMatchObject({
      body: { statusCode: 200, headers: { "content-type": "text/html; charset=utf-8" } },
    });
    const { Entries } = JSON.parse(eventBridge.requests.at(-1)?.body ?? "");
    expect(Entries).toMatchObject([{ Source: "backstop.webhooks", DetailType: "lead.opted_out" }]);
    expect(JSON.parse(Entries[0].Detail)).toMatchObject({ workspaceId, lead: { touch: touchId } });
    expect(JSON.stringify(worker.lines)).not.toContain(path.slice(-60));
  });

  long.it("answers 503 in time if the bus cannot be reached", async () => {
    await worker.close();
    worker = await start({ AWS_ENDPOINT_URL_EVENTBRIDGE: `http://127.0.0.1:${await deadPort()}` });
    expect(await statusOf(aBooking())).toBe(503);
  });
});
