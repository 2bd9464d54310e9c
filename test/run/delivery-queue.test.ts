import { hash } from "node:crypto";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as z from "zod";
import { sqsDeliveryQueue } from "../../lib/platform/queues.ts";
import { deliverMessages, type ReceivedMessage } from "../../lib/run/deliver-messages.ts";
import type { Report } from "../../lib/run/report.ts";
import { prepareAws } from "../channels/aws.ts";
import { closeServers, httpServer } from "../channels/servers.ts";
import { addFollowedLead, addSequence, addWorkspace, type Sequence } from "../support/factories.ts";
import { clockAt, SETTINGS, useRunner } from "../support/run.ts";

const request = z.object({ Entries: z.array(z.object({ Id: z.string(), MessageBody: z.string() })) });
type Entry = z.infer<typeof request>["Entries"][number];

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let chase: Sequence;

beforeAll(async () => {
  prepareAws();
});
beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
});
afterEach(closeServers);

/** A server with the SQS protocol for the real client; refuses the entries that `refuses` selects. */
async function openQueue(refuses: (entry: Entry, index: number) => boolean = () => false) {
  const taken: ReceivedMessage[] = [];
  let requests = 0;
  const server = await httpServer((response) => {
    const entries = request.parse(JSON.parse(server.requests[requests++]?.body ?? "")).Entries;
    const failed = entries.filter(refuses);
    const fine = entries.filter((entry) => !failed.includes(entry));
    taken.push(...fine.map(({ Id, MessageBody }) => ({ messageId: Id, body: MessageBody })));
    const Failed = failed.map(({ Id }) => ({ Id, Code: "InternalError", SenderFault: false }));
    const Successful = fine.map(({ Id, MessageBody }) => ({
      Id,
      MessageId: Id,
      MD5OfMessageBody: hash("md5", MessageBody),
    }));
    response.writeHead(200, { "content-type": "application/x-amz-json-1.0" });
    response.end(JSON.stringify({ Failed, Successful }));
  });
  process.env["AWS_ENDPOINT_URL_SQS"] = `http://127.0.0.1:${server.port}`;
  return { taken, queue: sqsDeliveryQueue(`http://127.0.0.1:${server.port}/111111111111/deliveries`) };
}

async function addDue(count: number): Promise<void> {
  for (let number = 0; number < count; number++) await addFollowedLead(sql, workspaceId, chase.id);
}

const minutesAfter = ({ timestamp }: Report, minutes: number) =>
  clockAt(Date.parse(timestamp ?? "") + minutes * 60_000);

const deliver = (messages: readonly ReceivedMessage[], remainingMs = 60_000) =>
  deliverMessages(messages, { remainingMs: () => remainingMs }, runner.ports, SETTINGS);

async function statuses(): Promise<Readonly<Record<string, number>>> {
  const { rows } = await sql.query<{ status: string; count: number }>(
    "select status, count(*)::int as count from touch group by status",
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

describe("with a delivery queue", () => {
  it("a run enqueues the ids of its claims, ten per message, and the consumers send them", async () => {
    await addDue(25);
    const { queue, taken } = await openQueue();
    const { results, success } = await runner.run({}, { queue });
    expect({ success, ...results }).toMatchObject({ success: true, claimed: 25, delivery: { queued: 25, sent: 0 } });
    expect(runner.channel.sent).toEqual([]);
    expect(taken).toHaveLength(3);
    expect(taken.map(({ body }) => Object.keys(JSON.parse(body)))).toEqual(Array(3).fill(["touchIds"]));

    expect(await deliver(taken)).toMatchObject({ delivery: { sent: 25 }, failedMessageIds: [] });
    expect(runner.channel.sent).toHaveLength(25);
    expect(await statuses()).toEqual({ sent: 25 });
  });

  it("a duplicate message, even a concurrent one, sends nothing twice", async () => {
    await addDue(10);
    const { queue, taken } = await openQueue();
    await runner.run({}, { queue });
    await Promise.all([deliver([...taken, ...taken]), deliver(taken)]);
    await deliver(taken);
    expect(new Set(runner.channel.sent.map(({ id }) => id)).size).toBe(10);
    expect(runner.channel.sent).toHaveLength(10);
    expect(await statuses()).toEqual({ sent: 10 });
  });

  it("an invalid UUID does not block the other ids of its message", async () => {
    await addDue(3);
    const { queue, taken } = await openQueue();
    await runner.run({}, { queue });
    const odd = "11111111-1111-1111-1111-111111111111";
    const messages = taken.map(({ messageId, body }) => ({
      messageId,
      body: JSON.stringify({ touchIds: [odd, ...JSON.parse(body).touchIds] }),
    }));
    expect(await deliver(messages)).toMatchObject({ delivery: { sent: 3 }, failedMessageIds: [] });
  });

  it("a message redelivered too early does not send before the next attempt is due", async () => {
    await addDue(1);
    const { queue, taken } = await openQueue();
    await runner.run({}, { queue });
    const answer = runner.channel.answer;
    runner.channel.answer = () => ({ kind: "retry", reason: "smtp_451" });
    expect(await deliver(taken)).toMatchObject({ delivery: { retrying: 1 } });
    runner.channel.answer = answer;
    expect(await deliver(taken)).toMatchObject({ delivery: { retrying: 1, sent: 0 } });
    expect(runner.channel.sent).toHaveLength(1);
    expect(await statuses()).toEqual({ claimed: 1 });
  });

  it("a lost message is made up for after a quarter of an hour, and not before", async () => {
    await addDue(3);
    const lost = await openQueue();
    const first = await runner.run({}, { queue: lost.queue });
    const { queue, taken } = await openQueue();
    expect(await runner.run({}, { queue, ...minutesAfter(first, 14) })).toMatchObject({ recovered: { takenUp: 0 } });
    const later = await runner.run({}, { queue, ...minutesAfter(first, 16) });
    expect(later).toMatchObject({ success: true, recovered: { takenUp: 3, delivery: { queued: 3 } } });
    expect(await deliver(taken)).toMatchObject({ delivery: { sent: 3 } });
    expect(await runner.run({}, { queue, ...minutesAfter(first, 60) })).toMatchObject({ recovered: { takenUp: 0 } });
  });

  it("touches that the queue rejects stay claimed and fail the run; the next run enqueues them", async () => {
    await addDue(25);
    const partly = await openQueue((_, index) => index === 1);
    const first = await runner.run({}, { queue: partly.queue });
    expect(first).toMatchObject({ success: false, results: { claimed: 25, delivery: { queued: 15, retrying: 10 } } });
    expect(first.errors).toEqual([expect.stringMatching(/did not take 10 of 25 touches \(InternalError\)/)]);
    const { queue, taken } = await openQueue();
    expect(await runner.run({}, { queue, ...minutesAfter(first, 1) })).toMatchObject({ recovered: { takenUp: 10 } });
    await deliver([...partly.taken, ...taken]);
    expect(await statuses()).toEqual({ sent: 25 });
  });

  it("only a message that is invalid or fails is redelivered", async () => {
    await addDue(20);
    const { queue, taken } = await openQueue();
    await runner.run({}, { queue });
    const broken = [
      { messageId: "not JSON", body: "{" },
      { messageId: "no ids", body: '{"touchIds": []}' },
      { messageId: "more than ids", body: '{"touchIds": ["018f0000-0000-7000-8000-000000000000"], "email": "a@b.c"}' },
    ];
    const { failedMessageIds, delivery } = await deliver([...broken, ...taken]);
    expect(failedMessageIds).toEqual(["not JSON", "no ids", "more than ids"]);
    expect(delivery).toMatchObject({ sent: 20 });
  });

  it("a consumer that must stop starts no touch, and the next run recovers them", async () => {
    await addDue(5);
    const { queue, taken } = await openQueue();
    const first = await runner.run({}, { queue });
    expect(await deliver(taken, 999)).toMatchObject({ delivery: { retrying: 5, sent: 0 }, failedMessageIds: [] });
    expect(runner.channel.sent).toEqual([]);
    expect(await runner.run({}, minutesAfter(first, 1))).toMatchObject({ recovered: { delivery: { sent: 5 } } });
  });

  it("a booking between the queue and the consumer cancels the touch", async () => {
    await addDue(2);
    const { queue, taken } = await openQueue();
    await runner.run({}, { queue });
    await sql.query("update lead set status = 'meeting-booked' where id = (select min(id::text)::uuid from lead)");
    expect(await deliver(taken)).toMatchObject({ delivery: { sent: 1, cancelled: 1 } });
  });

  it("a database that is behind the code hands every message back", async () => {
    await addDue(1);
    const { queue, taken } = await openQueue();
    await runner.run({}, { queue });
    const missingSchema = () => Promise.resolve(["column touch.reason"]);
    const behind = { ...runner.ports, missingSchema };
    await expect(deliverMessages(taken, { remainingMs: () => 60_000 }, behind, SETTINGS)).rejects.toMatchObject({
      code: "schema_out_of_date",
    });
    expect(await deliver(taken)).toMatchObject({ delivery: { sent: 1 } });
  });
});
