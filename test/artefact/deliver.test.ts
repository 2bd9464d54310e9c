import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { anExample, REVISION } from "../infra/example.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, FAR_AHEAD, LONG_AGO } from "../support/factories.ts";
import { type Artefacts, synthesise } from "../support/lambda/artefacts.ts";
import { createProxiedDatabase, type ProxiedDatabase } from "../support/lambda/proxied-database.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";
import { long } from "../support/long.ts";
import { until } from "../support/transactions.ts";

let artefacts: Artefacts;
let database: ProxiedDatabase;
let ses: HttpDouble;
let worker: LambdaWorker;

beforeAll(async () => {
  artefacts = await synthesise(anExample({ delivery: { maximumConcurrency: 2 } }));
  database = await createProxiedDatabase();
  ses = await httpServer((response) =>
    response.writeHead(200, { "content-type": "application/json" }).end('{"MessageId":"from-ses"}'),
  );
  const { bundle, environment } = artefacts.of("backstop-dev-deliver");
  const local = { ...database.environment, AWS_ENDPOINT_URL_SESV2: `http://127.0.0.1:${ses.port}` };
  worker = await startWorker({
    bundle,
    environment: { ...environment, ...local },
    functionName: "backstop-dev-deliver",
  });
});

afterAll(async () => {
  await worker.close();
  await closeServers();
  await database.drop();
});

/** Adds `count` touches that a run has claimed and enqueued. */
async function addClaimed(count: number): Promise<readonly string[]> {
  const workspaceId = await addWorkspace(database.sql);
  const { id, steps } = await addSequence(database.sql, workspaceId);
  const touchIds: string[] = [];
  for (let number = 0; number < count; number++) {
    const { instanceId } = await addFollowedLead(database.sql, workspaceId, id, { instance: { status: "completed" } });
    const due = { next_attempt_at: LONG_AGO, recheck_at: FAR_AHEAD };
    touchIds.push(await addTouch(database.sql, instanceId, steps[0] ?? "", due));
  }
  return touchIds;
}

const record = (messageId: string, body: unknown) => ({
  messageId,
  body: JSON.stringify(body),
  eventSource: "aws:sqs",
});

describe("the artefact of the deliver function, under the AWS runtime client,", () => {
  long.it("sends the touches of a batch, returns only the failed message, and emits its metrics", async () => {
    const [first, second, third] = await addClaimed(3);
    const Records = [
      record("one", { touchIds: [first, second] }),
      record("broken", { touches: [third] }),
      record("three", { touchIds: [third] }),
    ];
    const answer = await worker.invoke({ Records });
    expect(answer).toMatchObject({ kind: "response", body: { batchItemFailures: [{ itemIdentifier: "broken" }] } });
    expect(ses.requests).toHaveLength(3);
    const { rows } = await database.sql.query("select status, count(*)::int from touch group by status");
    expect(rows).toEqual([{ status: "sent", count: 3 }]);
    const line = await until("the metrics are written", async () => worker.lines.find((each) => each["_aws"]));
    expect(line).toMatchObject({ service: "backstop-dev-deliver", SentTouches: 3, UnknownTouches: 0 });
    expect(worker.lines).toContainEqual(
      expect.objectContaining({ message: "delivery.failed", service: "backstop-dev-deliver", revision: REVISION }),
    );
  });

  it("sends nothing twice if a batch is redelivered", async () => {
    const [touchId] = await addClaimed(1);
    const sentBefore = ses.requests.length;
    for (let time = 0; time < 2; time++) {
      const answer = await worker.invoke({ Records: [record("again", { touchIds: [touchId] })] });
      expect(answer).toMatchObject({ kind: "response", body: { batchItemFailures: [] } });
    }
    expect(ses.requests.length - sentBefore).toBe(1);
  });

  it("throws on an event that is not a batch", async () => {
    expect(await worker.invoke({ detail: {} })).toMatchObject({ kind: "error" });
  });
});
