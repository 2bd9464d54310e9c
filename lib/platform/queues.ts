import { randomUUID } from "node:crypto";
import {
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import pLimit from "p-limit";
import type { DeadLetterQueue } from "../run/apply-messages.ts";
import type { DeliveryQueue } from "../run/channel-ports.ts";
import type { DeliveryMessage } from "../run/deliver-messages.ts";
import { errorName, SDK_OPTIONS } from "./unavailable.ts";

const ANSWER_TIMEOUT_MS = 5_000;

/** A client in the function's own region and with its own role. It may retry: duplicate messages are harmless. */
const sqsClient = () => new SQSClient(SDK_OPTIONS);

/** Touches that one failed message delays. */
const TOUCHES_IN_A_MESSAGE = 10;
/** The limit of SendMessageBatch, according to its API reference. */
const MESSAGES_IN_A_REQUEST = 10;
const REQUESTS_AT_ONCE = 5;

/** The delivery queue in Amazon SQS. */
export function sqsDeliveryQueue(queueUrl: string): DeliveryQueue {
  const client = sqsClient();
  return {
    async enqueue(touchIds) {
      const messages = chunksOf(touchIds, TOUCHES_IN_A_MESSAGE).map((ids) => ({ id: randomUUID(), touchIds: ids }));
      const requests = chunksOf(messages, MESSAGES_IN_A_REQUEST);
      const answers = await pLimit(REQUESTS_AT_ONCE).map(requests, (request) => send(client, queueUrl, request));
      return { refused: answers.flatMap(({ refused }) => refused), faults: answers.flatMap(({ faults }) => faults) };
    },
  };
}

interface Message {
  readonly id: string;
  readonly touchIds: readonly string[];
}

async function send(
  client: SQSClient,
  QueueUrl: string,
  messages: readonly Message[],
): Promise<Awaited<ReturnType<DeliveryQueue["enqueue"]>>> {
  try {
    const command = new SendMessageBatchCommand({ QueueUrl, Entries: messages.map(entryOf) });
    const { Failed = [] } = await client.send(command, { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    const failed = new Set(Failed.map(({ Id }) => Id));
    const refused = messages.filter(({ id }) => failed.has(id)).flatMap(({ touchIds }) => touchIds);
    return { refused, faults: Failed.map(({ Code }) => Code ?? "unnamed") };
  } catch (thrown) {
    // The request may have succeeded without a response. Its touches are then queued twice.
    return { refused: messages.flatMap(({ touchIds }) => touchIds), faults: [errorName(thrown)] };
  }
}

const entryOf = ({ id, touchIds }: Message): SendMessageBatchRequestEntry => {
  const message: DeliveryMessage = { touchIds: [...touchIds] };
  return { Id: id, MessageBody: JSON.stringify(message) };
};

const chunksOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));

/** SQS limits the bytes of body and attributes together, so longer events are truncated. */
const LONGEST_BODY_BYTES = 200_000;
const LONGEST_REASON_BYTES = 4_000;
/** SQS rejects messages with these. Reasons quote values of the event, with control characters escaped as in JSON. */
const NOT_ALLOWED = /[\uFFFE\uFFFF]/g;

/** The queue of refused events in Amazon SQS. The reason is a message attribute. */
export function sqsDeadLetterQueue(queueUrl: string): DeadLetterQueue {
  const client = sqsClient();
  return {
    async keep({ messageId, body }, reason) {
      const text = (value: string) => ({ DataType: "String", StringValue: value });
      const command = new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: truncated(body, LONGEST_BODY_BYTES),
        MessageAttributes: {
          reason: text(truncated(reason.replace(NOT_ALLOWED, "\uFFFD"), LONGEST_REASON_BYTES)),
          messageId: text(messageId),
        },
      });
      await client.send(command, { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    },
  };
}

/** The longest prefix that fits into `bytes` of UTF-8. It splits no character. */
const truncated = (text: string, bytes: number): string =>
  text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(bytes)).read);
