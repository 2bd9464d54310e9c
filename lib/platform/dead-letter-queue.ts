import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { DeadLetterQueue } from "../run/intake/apply-messages.ts";

const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 5_000;
/** SQS limits body and attributes together, so longer events are truncated. */
const LONGEST_BODY = 200_000;
const LONGEST_REASON = 4_000;

/** An Amazon SQS queue, in the function's own region and with its own role. The reason is a message attribute. */
export function sqsDeadLetterQueue(queueUrl: string): DeadLetterQueue {
  const client = new SQSClient({ requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS } });
  return {
    async keep({ messageId, body }, reason) {
      const text = (value: string) => ({ DataType: "String", StringValue: value });
      const command = new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: body.slice(0, LONGEST_BODY),
        MessageAttributes: { reason: text(reason.slice(0, LONGEST_REASON)), messageId: text(messageId) },
      });
      await client.send(command, { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
    },
  };
}
