import { hash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { anExample, REVISION } from "../infra/example.ts";
import { addLead, addWorkspace } from "../support/factories.ts";
import { aMeeting, bodyOf, hoursAgo } from "../support/facts.ts";
import { type Artefacts, synthesise } from "../support/lambda/artefacts.ts";
import { createProxiedDatabase, type ProxiedDatabase } from "../support/lambda/proxied-database.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";

let artefacts: Artefacts;
let database: ProxiedDatabase;
let sqs: HttpDouble;
let worker: LambdaWorker;
let workspaceId: string;
let leadId: string;

beforeAll(async () => {
  artefacts = await synthesise(anExample({ intake: {} }));
  database = await createProxiedDatabase();
  sqs = await httpServer((response) => {
    const { MessageBody } = JSON.parse(sqs.requests.at(-1)?.body ?? "");
    response.writeHead(200, { "content-type": "application/x-amz-json-1.0" });
    response.end(JSON.stringify({ MessageId: "kept", MD5OfMessageBody: hash("md5", MessageBody) }));
  });
  const { bundle, environment } = artefacts.of("backstop-dev-intake");
  const local = {
    ...database.environment,
    AWS_ENDPOINT_URL_SQS: `http://127.0.0.1:${sqs.port}`,
    INTAKE_DEAD_LETTERS_URL: `http://127.0.0.1:${sqs.port}/dead-letters`,
  };
  worker = await startWorker({
    bundle,
    environment: { ...environment, ...local },
    functionName: "backstop-dev-intake",
  });
  workspaceId = await addWorkspace(database.sql);
  leadId = await addLead(database.sql, workspaceId);
});

afterAll(async () => {
  await worker.close();
  await closeServers();
  await database.drop();
});

const booking = (eventId: string) => ({
  workspaceId,
  eventId,
  occurredAt: hoursAgo(1),
  lead: { id: leadId },
  meeting: aMeeting(eventId),
});

describe("the artefact of the intake function, under the AWS runtime client,", () => {
  it("applies a booking, and sends a refused event with its reason to the dead-letter queue", async () => {
    const Records = [
      { messageId: "good", body: bodyOf("meeting.booked", booking("one")) },
      { messageId: "bad", body: bodyOf("meeting.kissed", booking("two")) },
    ];
    const answer = await worker.invoke({ Records });
    expect(answer).toMatchObject({ kind: "response", body: { batchItemFailures: [] } });
    const { rows } = await database.sql.query("select is_booked from lead where id = $1", [leadId]);
    expect(rows).toEqual([{ is_booked: true }]);
    const kept = JSON.parse(sqs.requests[0]?.body ?? "");
    expect(kept).toMatchObject({
      MessageBody: Records[1]?.body,
      MessageAttributes: { reason: { StringValue: expect.stringContaining('no detail-type "meeting.kissed"') } },
    });
    expect(worker.lines).toContainEqual(
      expect.objectContaining({ message: "event.refused", service: "backstop-dev-intake", revision: REVISION }),
    );
  });

  it("returns the outcome of a single test event", async () => {
    const event: unknown = JSON.parse(bodyOf("meeting.booked", booking("one")));
    expect(await worker.invoke(event)).toMatchObject({ kind: "response", body: { outcome: "duplicate" } });
  });
});
