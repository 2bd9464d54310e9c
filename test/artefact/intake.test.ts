import { hash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { mailOf } from "../inbound/mail-examples.ts";
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
/** The object that the bucket of received mails has. */
let mail: string;

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
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${(await httpServer((response) => response.end(mail))).port}`,
    INBOUND_MAIL_BUCKET: "mails",
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

  it("reads a mail that a person sent", async () => {
    mail = mailOf({ To: `replies+${workspaceId}@northwind.example`, From: "mail.writer@example.com" });
    const writer = await addLead(database.sql, workspaceId, { email: "mail.writer@example.com" });
    const detail = { bucket: { name: "mails" }, object: { key: "one" } };
    const body = JSON.stringify({ source: "aws.s3", "detail-type": "Object Created", time: hoursAgo(0), detail });
    const result = await worker.invoke({ Records: [{ messageId: "mail", body }] });
    expect(result).toMatchObject({ kind: "response", body: { batchItemFailures: [] } });
    const { rows } = await database.sql.query("select last_inbound_at from lead where id = $1", [writer]);
    expect(rows).toEqual([{ last_inbound_at: expect.any(Date) }]);
  });

  it("returns the outcome of a single test event", async () => {
    const event: unknown = JSON.parse(bodyOf("meeting.booked", booking("one")));
    expect(await worker.invoke(event)).toMatchObject({ kind: "response", body: { outcome: "duplicate" } });
  });
});
