import { hash } from "node:crypto";
import { afterEach, beforeAll, expect, it } from "@jest/globals";
import { sqsDeadLetterQueue } from "../../lib/platform/queues.ts";
import { prepareAws } from "../channels/aws.ts";
import { closeServers, httpServer } from "../channels/servers.ts";

beforeAll(prepareAws);
afterEach(closeServers);

async function openQueue() {
  const server = await httpServer((response) => {
    const { MessageBody } = JSON.parse(server.requests.at(-1)?.body ?? "");
    response.writeHead(200, { "content-type": "application/x-amz-json-1.0" });
    response.end(JSON.stringify({ MessageId: "kept", MD5OfMessageBody: hash("md5", MessageBody) }));
  });
  process.env["AWS_ENDPOINT_URL_SQS"] = `http://127.0.0.1:${server.port}`;
  const queue = sqsDeadLetterQueue(`http://127.0.0.1:${server.port}/refused`);
  return { queue, sent: () => JSON.parse(server.requests[0]?.body ?? "") };
}

it.each([
  ["a short event stays whole", "Grüße 👋", "Grüße 👋"],
  ["ASCII is truncated to 200,000 bytes", "x".repeat(200_001), "x".repeat(200_000)],
  ["characters of three bytes are truncated to 200,000 bytes", "€".repeat(70_000), "€".repeat(66_666)],
  ["a surrogate pair is not split", `xx${"👋".repeat(50_000)}`, `xx${"👋".repeat(49_999)}`],
])("the dead-letter queue fits events into the SQS limit: %s", async (_, body, expected) => {
  const { queue, sent } = await openQueue();
  await queue.keep({ messageId: "one", body }, "€".repeat(2_000));
  expect(sent().MessageBody === expected).toBe(true);
  expect(Buffer.byteLength(sent().MessageAttributes.reason.StringValue)).toBe(3_999);
});

it("the dead-letter queue replaces characters that SQS rejects in a reason", async () => {
  const { queue, sent } = await openQueue();
  await queue.keep({ messageId: "one", body: "{}" }, 'unknown key "\uFFFF"');
  expect(sent().MessageAttributes.reason.StringValue).toBe('unknown key "\uFFFD"');
});
